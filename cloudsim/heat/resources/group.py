"""OS::Heat::ResourceGroup: members with indices, and which of them leave.

An index that was removed by name or reference (`removal_policies`) is never given again; `data` holds those indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat.errors import StackValidationFailed
from cloudsim.heat.resources.base import Props, Waiting
from cloudsim.heat.resources.nested import StackKind, inner_attribute
from cloudsim.heat.stack import Resource, Stack
from cloudsim.heat.template import GroupTemplate, MemberDefinition, OutputDefinition, ResourceDefinition, Template
from cloudsim.heat.values import Call, Literal, dig

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine


class ResourceGroup(StackKind):
    """A nested stack whose template is made from one definition and a count."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """The first indices, without those that the removal policies name already."""
        resource.data = frozenset(str(item) for item in _removal_list(props))
        wait = super().create(engine, resource, members_props(props, resource.data))
        resource.data = resource.data or None
        return wait

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Note who leaves for ever, then bring the members to the new definition and count."""
        if not _takes_another(engine, resource):
            resource.data = skipped_after(resource, props) or None
        return super().update(engine, resource, members_props(props, resource.data or ()), changed)

    @override
    def template(self, stack: Stack, props: Props) -> Template:
        """One resource a member."""
        return group_template(props)

    @override
    def parameters(self, stack: Stack, template: Template, props: Props) -> Mapping[str, Any]:
        """A group's stack has none."""
        return _NO_PARAMETERS

    @override
    def outputs(self, resource: Resource, child: Stack) -> Iterable[OutputDefinition]:
        """One for each attribute of the group that the template around it reads, and `refs_map` always.

        They are made when somebody asks: to keep them would cost every stack for what few look at.
        """
        for name, path in _paths_read(resource).items():
            value = Call(lambda path: self.attribute(resource, path), Literal(path))
            yield OutputDefinition(name, value, "", None)

    @override
    def attribute(self, resource: Resource, path: Sequence[Any]) -> Any:
        """`refs`, `refs_map`, `attributes`, `removed_rsrc_list`, `resource.INDEX…`.

        Any other name: a list of the members' attribute.
        """
        child, name = resource.nested, str(path[0])
        if name == "removed_rsrc_list":
            return sorted(resource.data or (), key=_by_number)
        if child is None:
            return None
        members = sorted(child.enabled(), key=_by_number)
        if name == "refs":
            return dig([child.reference(member) for member in members], path[1:])
        if name == "refs_map":
            return dig({member: child.reference(member) for member in members}, path[1:])
        if name == "attributes":
            if len(path) < 2:
                raise StackValidationFailed(f"The Referenced Attribute ({resource.name} attributes) is incorrect.")
            return {member: child.attribute(member, path[1:]) for member in members}
        if name.startswith("resource."):
            return inner_attribute(child, name, path[1:])
        return [child.attribute(member, path) for member in members]


_NO_PARAMETERS: Mapping[str, Any] = {}
_NO_OUTPUT = frozenset({"attributes", "refs_map", "removed_rsrc_list"})
"""Attributes that make no output: the first without a path, the second beside the one that is always there."""


def _paths_read(resource: Resource) -> dict[str, list[Any]]:
    """The name of each output and the attribute's path that it stands for."""
    around, found = resource.stack, dict[str, list[Any]]()
    for node, name, _ in around.template.attributes:
        if node.name != resource.name:
            continue
        path = [part.evaluate(around) for part in node.path]
        if name == "refs":
            found[name] = [name]
        elif name.startswith("resource."):
            _, member, *rest = name.split(".", 2)
            if (rest or path[1:]) and resource.nested is not None and member in resource.nested.enabled():
                found[", ".join(map(str, path))] = path
        elif name not in _NO_OUTPUT or (name == "attributes" and path[1:]):
            found[", ".join(map(str, path))] = path
    return {**found, "refs_map": ["refs_map"]}


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 31, name)


def _takes_another(engine: Engine, resource: Resource) -> bool:
    """Whether a behaviour has it overlook who is named."""
    from cloudsim.heat.lifecycle import path_of  # noqa: PLC0415  (lifecycle drives kinds)

    root = resource.stack.root.name
    return engine.behaviours.take(("wrong_member",), resource.type, path_of(resource), root, "UPDATE") is not None


def _removal_list(props: Props) -> list[Any]:
    return [
        item for policy in props.get("removal_policies") or () for item in (policy or {}).get("resource_list") or ()
    ]


def skipped_after(resource: Resource, props: Props) -> frozenset[str]:
    """Indices that are out of use after an update.

    Those of before, and members that the policies name by index or reference.
    """
    before: frozenset[str] = resource.data or frozenset()
    child = resource.nested
    members = child.resources if child is not None else {}
    references = {child.reference(name): name for name in members} if child is not None else {}
    found: set[str] = set()
    for item in _removal_list(props):
        text = str(item)
        if text in members or text in before:
            found.add(text)
        elif text in references:
            found.add(references[text])
    return frozenset(found) if props.get("removal_policies_mode") == "update" else before | found


def members_props(props: Props, skipped: Iterable[str]) -> dict[str, Any]:
    """The properties with the names of the members that there are to be."""
    out = set(skipped)
    wanted = 1 if props.get("count") is None else int(props["count"])
    if wanted < 0:
        raise StackValidationFailed(f"count: {wanted} is out of range (min: 0, max: None)")
    names = islice((name for name in map(_name, count()) if name not in out), wanted)
    return {**props, "_members": list(names)}


@lru_cache(maxsize=1024)
def _name(index: int) -> str:
    """An index as a name, the same object each time."""
    return str(index)


def group_template(props: Props) -> GroupTemplate:
    """The nested template for the members named in `_members`."""
    definition, variable = props["resource_def"], props.get("index_var") or "%index%"
    if not isinstance(definition.get("type"), str):
        raise StackValidationFailed("Property error: : resource_def: : Property type not assigned")
    # Null properties are left out, as in Heat: "not given" must reach the member's default.
    values = {key: value for key, value in (definition.get("properties") or {}).items() if value is not None}
    metadata = definition.get("metadata")
    members: dict[str, ResourceDefinition] = {
        name: MemberDefinition(name, definition["type"], Indexed(values, variable, name), metadata)
        for name in props["_members"]
    }
    return GroupTemplate(members)


class Indexed(Mapping[str, Any]):
    """A member's properties: the group's, with the member's index put in whenever one is read."""

    __slots__ = ("common", "name", "variable")

    def __init__(self, common: Mapping[str, Any], variable: str, name: str) -> None:
        self.common, self.variable, self.name = common, variable, name

    @override
    def __getitem__(self, key: str) -> Any:
        return indexed(self.common[key], self.variable, self.name)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.common)

    @override
    def __len__(self) -> int:
        return len(self.common)

    @override
    def __contains__(self, key: object) -> bool:
        return key in self.common


def indexed(value: Any, variable: str, name: str) -> Any:
    """A value with the index put in; parts without it stay the same objects."""
    if isinstance(value, str):
        return value.replace(variable, name) if variable in value else value
    if isinstance(value, Mapping):
        inner = {key: indexed(item, variable, name) for key, item in value.items()}
        return value if all(inner[key] is item for key, item in value.items()) else inner
    if isinstance(value, list):
        items = [indexed(item, variable, name) for item in value]
        return value if all(old is new for old, new in zip(value, items, strict=True)) else items
    return value
