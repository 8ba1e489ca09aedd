"""The state of stacks and resources, and what a template's functions see of it.

Built to be small, since thousands of bays live in one process: times are whole seconds, events are one flat list a
stack, definitions and literal values belong to the cached template, and of property values only a hash is kept
(enough to see a change).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cloudsim.heat.environment import Environment
from cloudsim.heat.errors import StackValidationFailed, UserParameterMissing
from cloudsim.heat.files import Files
from cloudsim.heat.template import ResourceDefinition, Template

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine
    from cloudsim.heat.resources.base import Kind

NO_FILES = Files({})
COMPLETE, FAILED, IN_PROGRESS = "COMPLETE", "FAILED", "IN_PROGRESS"
_EVENT = 3  # entries of the flat event list that one event takes
_USUAL = "state changed"


class Resource:
    """One resource of a stack. `properties` is a snapshot for comparison; `data` belongs to the resource's kind."""

    __slots__ = (
        "_state",
        "created_at",
        "data",
        "definition",
        "kind",
        "nested",
        "physical_id",
        "properties",
        "reason",
        "requires",
        "stack",
        "updated_at",
    )

    def __init__(self, stack: Stack, definition: ResourceDefinition, kind: Kind) -> None:
        self.stack, self.definition, self.kind = stack, definition, kind
        self._state, self.reason = ("INIT", COMPLETE), ""
        self.physical_id: str | None = None
        self.nested: Stack | None = None
        self.properties: Snapshot = NO_PROPERTIES
        self.data: Any = None
        self.requires: frozenset[str] = frozenset()
        self.created_at = self.updated_at = stack.engine.second()

    @property
    def name(self) -> str:
        """The name in the template."""
        return self.definition.name

    @property
    def type(self) -> str:
        """The type that the environment makes of the template's."""
        return self.kind.schema.name

    @property
    def action(self) -> str:
        """What was done last or is being done."""
        return self._state[0]

    @property
    def status(self) -> str:
        """How that went."""
        return self._state[1]

    def mark(self, action: str, status: str, reason: str = _USUAL) -> None:
        """Change the status and note the event."""
        self._state, self.reason = _pair(action, status), reason
        self.updated_at = self.stack.engine.second()
        self.stack.note(self, action, status, reason)

    @property
    def full_status(self) -> str:
        """As the API writes it, `CREATE_COMPLETE`."""
        return status_name(self.action, self.status)


class Stack:
    """A stack, root or nested. Environment, files, tags and options belong to the root; it is a `values.Context`."""

    __slots__ = (
        "action",
        "base_url",
        "created_at",
        "deleted_at",
        "disable_rollback",
        "engine",
        "environment",
        "events",
        "files",
        "id",
        "leftovers",
        "name",
        "params",
        "parent",
        "project_id",
        "reason",
        "resources",
        "root",
        "status",
        "tags",
        "template",
        "timeout_mins",
        "updated_at",
        "user_id",
        "user_name",
    )

    def __init__(self, engine: Engine, stack_id: str, name: str, project_id: str, template: Template) -> None:
        self.engine, self.id, self.name, self.project_id, self.template = engine, stack_id, name, project_id, template
        self.params: Mapping[str, Any] = {}
        self.environment: Environment | None = None
        self.files = NO_FILES
        self.parent: Resource | None = None
        self.root: Stack = self
        self.resources: dict[str, Resource] = {}
        self.leftovers: tuple[Resource, ...] = ()  # replaced or removed, and still to be deleted
        self.events: list[Any] = []
        self.action, self.status, self.reason = "CREATE", IN_PROGRESS, "Stack CREATE started"
        self.tags: Sequence[str] = ()
        self.timeout_mins: int | None = None
        self.disable_rollback = True
        self.user_id = self.user_name = self.base_url = ""
        self.created_at = engine.second()
        self.updated_at: int | None = None
        self.deleted_at: int | None = None

    # What happened

    def mark(self, action: str, status: str, reason: str) -> None:
        """Change the status, note the event and keep the store's record in step."""
        self.action, self.status, self.reason = action, status, sys.intern(reason)
        self.note(self, action, status, reason)
        self.engine.record_status(self)

    def note(self, subject: Resource | Stack, action: str, status: str, reason: str) -> None:
        """Keep an event; the usual reason takes no room."""
        state = status_name(action, status)
        self.events += (self.engine.second(), subject, state if reason == _USUAL else _pair(state, reason))

    def each_event(self) -> Iterator[tuple[int, int, str, str, str, str | None]]:
        """Serial, second, resource, status, reason, physical id; oldest first."""
        for start in range(0, len(self.events), _EVENT):
            second, subject, state = self.events[start : start + _EVENT]
            status, reason = state if isinstance(state, tuple) else (state, _USUAL)
            physical_id = subject.id if isinstance(subject, Stack) else subject.physical_id
            yield start // _EVENT, second, subject.name, status, reason, physical_id

    @property
    def full_status(self) -> str:
        """As the API writes it."""
        return status_name(self.action, self.status)

    @property
    def busy(self) -> bool:
        """Whether an action runs."""
        return self.status == IN_PROGRESS

    # The tree

    @property
    def depth(self) -> int:
        """0 for a root."""
        return 0 if self.parent is None else self.parent.stack.depth + 1

    def tree(self) -> Iterator[Stack]:
        """This stack and every stack nested in it, leftovers included."""
        yield self
        for resource in (*self.resources.values(), *self.leftovers):
            if resource.nested is not None:
                yield from resource.nested.tree()

    def total_resources(self) -> int:
        """Resources in the whole tree below."""
        return sum(max(len(stack.resources), len(stack.enabled())) for stack in self.tree())

    def use(self, template: Template, params: Mapping[str, Any]) -> None:
        """From now on be made from this template with these parameter values."""
        self.template, self.params = template, params

    def enabled(self) -> dict[str, ResourceDefinition]:
        """Definitions whose condition holds."""
        found = self.template.resources
        if all(definition.condition is None for definition in found.values()):
            return found
        return {name: one for name, one in found.items() if one.condition is None or one.condition.evaluate(self)}

    # values.Context

    def param(self, name: str) -> Any:
        """A parameter's value, or one of the pseudo parameters."""
        if name in self.params:
            return self.params[name]
        schema = self.template.parameters.get(name)
        if schema is not None and schema.has_default:
            return schema.default
        if name == "OS::stack_name":
            return self.name
        if name == "OS::stack_id":
            return self.id
        if name == "OS::project_id":
            return self.project_id
        raise UserParameterMissing(name)

    def reference(self, name: str) -> Any:
        """What `get_resource` gives; None before the resource exists."""
        resource = self.resources.get(name)
        return None if resource is None or resource.physical_id is None else resource.kind.reference(resource)

    def attribute(self, name: str, path: Sequence[Any]) -> Any:
        """What `get_attr` gives; None before the resource exists."""
        resource = self.resources.get(name)
        return None if resource is None or resource.physical_id is None else resource.kind.attribute(resource, path)

    def file(self, name: str) -> str:
        """An attached file."""
        text = self.root.files.get(name)
        if text is None:
            raise StackValidationFailed(
                f'Could not fetch contents for "{name}": it is not among the files of the request'
            )
        return text

    def condition(self, name: str) -> bool:
        """A named condition. Evaluated each time: to remember it in thousands of stacks would cost more."""
        return bool(self.template.conditions[name].evaluate(self))

    def facade(self, key: str) -> Any:
        """A section of the parent's resource."""
        if self.parent is None:
            raise StackValidationFailed("resource_facade: this stack is not nested in another")
        definition = self.parent.definition
        if key == "metadata":
            return definition.metadata.evaluate(self.parent.stack) if definition.metadata else {}
        return definition.deletion_policy if key == "deletion_policy" else definition.update_policy or {}


@lru_cache(maxsize=2048)
def _pair(first: str, second: str) -> tuple[str, str]:
    """A pair, the same object each time."""
    return first, second


@lru_cache(maxsize=128)
def status_name(action: str, status: str) -> str:
    """`CREATE_COMPLETE`, the same object each time."""
    return f"{action}_{status}"


# A snapshot of property values: the names (a tuple that all snapshots with these names share), then a digest each.
Snapshot = tuple[tuple[str, ...], bytes]
_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {}
_ANY = ("*",)
_DIGEST = 6  # bytes
_DIGEST_MASK = (1 << 8 * _DIGEST) - 1
NO_PROPERTIES: Snapshot = ((), b"")


def snapshot(values: Mapping[str, Any], *, whole: bool) -> Snapshot:
    """Property values for later comparison; `whole` when any change means the same."""
    present = {name: value for name, value in values.items() if value is not None}
    if whole:
        return (_ANY, _digest(present))
    names = tuple(present)
    return (_NAMES.setdefault(names, names), b"".join(map(_digest, present.values())))


def differences(before: Snapshot, after: Snapshot) -> frozenset[str]:
    """Names of properties whose values differ."""
    if before == after:
        return frozenset()
    old, new = _by_name(before), _by_name(after)
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _by_name(taken: Snapshot) -> dict[str, bytes]:
    names, digests = taken
    return {name: digests[at * _DIGEST : (at + 1) * _DIGEST] for at, name in enumerate(names)}


def _digest(value: Any) -> bytes:
    """What differs when the value does, within this process; of the text, since -1 and -2 have the same hash."""
    return (hash(repr(_frozen(value))) & _DIGEST_MASK).to_bytes(_DIGEST, "big")


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _frozen(value[key])) for key in sorted(value, key=str))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value
