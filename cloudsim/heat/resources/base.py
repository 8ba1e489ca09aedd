"""What a resource type does: the contract, and the common case of a type that is one record in the cloud's store."""

from __future__ import annotations

import random
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat.errors import ResourceFailure
from cloudsim.heat.schema import TypeSchema
from cloudsim.heat.stack import FAILED, Resource, Stack
from cloudsim.heat.template import ResourceDefinition
from cloudsim.heat.values import dig
from cloudsim.world import Record

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

Waiting = Callable[[], Awaitable[None]]
Props = Mapping[str, Any]

_LETTERS = string.ascii_lowercase + string.digits


class Kind:
    """One resource type; has no state of its own. Its methods do at once what can be done at once.

    `create`, `update` and `delete` return None, or what to call and await until the action is over; they raise
    `ResourceFailure`. A kind sets `physical_id` before it waits, so that a failed creation can be cleaned up.
    """

    nested = False

    def __init__(self, schema: TypeSchema) -> None:
        self.schema = schema
        # Whether any changed property means a new thing: then one hash tells all about them.
        self.whole = not any(one.in_place for one in schema.properties.values())

    def prepare(self, stack: Stack, definition: ResourceDefinition) -> Props:
        """The definition's property values, checked. Raises StackValidationFailed."""
        place = f"resources.{definition.name}.properties"
        values = definition.evaluate(stack)
        self.schema.check_names(values, place)
        check = self.schema.check_value
        return self.schema.canonical({name: check(name, value, place) for name, value in values.items()})

    def check(self, name: str, props: Props) -> None:
        """What the type demands of its properties together, before anything is made; those not known yet are objects
        of no kind. Raises StackValidationFailed."""

    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Make the thing."""
        resource.physical_id = physical_name(resource)
        return None

    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Change it in place; `changed` names properties."""
        return None

    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Remove it; gone already is fine."""
        return None

    def replaces(self, changed: frozenset[str], props: Props) -> bool:
        """Whether a change of these properties needs a new thing."""
        known = self.schema.properties
        return any(name not in known or not known[name].in_place for name in changed)

    def ignores(self, props: Props) -> frozenset[str]:
        """Properties whose change is of no consequence."""
        return frozenset()

    def broken(self, resource: Resource) -> bool:
        """Whether a resource that is not COMPLETE must be replaced at the next update."""
        return resource.status == FAILED

    def spoil(self, engine: Engine, resource: Resource) -> None:
        """Make the thing look as it does after the failure that a behaviour asked for."""

    def exists(self, engine: Engine, resource: Resource) -> bool:
        """For `check`: whether the thing is still there."""
        return True

    def reference(self, resource: Resource) -> Any:
        """What `get_resource` gives."""
        return resource.physical_id

    def attribute(self, resource: Resource, path: Sequence[Any]) -> Any:
        """What `get_attr` gives for a path whose first part is the attribute's name."""
        return dig(self.value_of(resource, str(path[0])), path[1:])

    def value_of(self, resource: Resource, name: str) -> Any:
        """One attribute; None when unknown."""
        return None


class Stored(Kind):
    """A type that is one record of the store. Subclasses say its kind and attributes."""

    record_kind = ""

    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """The new record's attributes."""
        return {"name": props.get("name") or physical_name(resource)}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Make the record."""
        attrs = self.attrs(engine, resource, props)
        resource.physical_id = engine.world.store.create(self.record_kind, resource.stack.project_id, attrs).id
        return None

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Write the attributes that come from changed properties."""
        record = self.record(resource)
        if record is not None:
            fresh = self.attrs(engine, resource, props)
            engine.world.store.update(record, **{name: fresh[name] for name in changed if name in fresh})
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Remove the record."""
        engine.world.store.delete(self.record_kind, resource.physical_id or "")
        return None

    @override
    def exists(self, engine: Engine, resource: Resource) -> bool:
        """Whether the record is there."""
        return self.record(resource) is not None

    def record(self, resource: Resource) -> Record | None:
        """The record, if it is still there."""
        return resource.stack.engine.world.store.get(self.record_kind, resource.physical_id or "")

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """The record's field."""
        record = self.record(resource)
        if record is None:
            return None
        if name == "show":
            return {"id": record.id, **record.attrs}
        if name in {"tenant_id", "project_id"}:
            return record.project_id
        return record.get(name)


def short_id() -> str:
    """Twelve letters and digits, as Heat appends to names."""
    return "".join(random.choices(_LETTERS, k=12))


def physical_name(resource: Resource) -> str:
    """The name that Heat gives a thing without one: stack, resource and a short id."""
    return f"{resource.stack.name}-{resource.name}-{short_id()}"


def given(props: Props, *names: str) -> dict[str, Any]:
    """Those of the named properties that have a value."""
    return {name: props[name] for name in names if props.get(name) is not None}


@lru_cache(maxsize=1024)
def same_list(items: tuple[str, ...]) -> list[str]:
    """A list, the same object for the same texts: tags and groups are those of every node of a bay."""
    return list(items)


@lru_cache(maxsize=1024)
def same_map(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """A map, the same object for the same pairs."""
    return dict(items)


def find(engine: Engine, kind: str, wanted: Any, project_id: str = "") -> Record:
    """A record by id or else by name, of the project or public. Raises ResourceFailure (NotFound) in Heat's words."""
    record = lookup(engine, kind, str(wanted), project_id)
    if record is None:
        raise ResourceFailure("NotFound", f"Unable to find {kind} with name or id '{wanted}'")
    return record


def lookup(engine: Engine, kind: str, wanted: str, project_id: str = "") -> Record | None:
    """As `find`, None when there is none."""
    store = engine.world.store
    record = store.get(kind, wanted)
    if record is not None:
        return record
    named = store.find(kind, name=wanted)
    own = [one for one in named if one.project_id == project_id]
    return next(iter(own or named), None)
