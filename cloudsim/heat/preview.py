"""What an update would do, without doing it: the five lists of `PUT …/preview`.

What real Heat 27 does is done here too, since it decides what a client can build on a preview:

- A nested stack that is there before and after counts as updated; what is in it is compared only with `show_nested`.
- What is replaced or added is shown as its successor: no physical id, stack id "None", and the nested stack's name
  without its suffix.
- A group does not look at the indices that it gave up earlier, and of its removal policies it understands indices
  only, not references: it is compared as if it had the first `count` indices that the policies do not name.
- With `show_nested`, a nested stack that would be added inside a nested stack (a group of templates that grows) makes
  Heat answer 400.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat import compare
from cloudsim.heat.errors import BadRequest, HeatFault
from cloudsim.heat.lifecycle import requirements
from cloudsim.heat.resources.base import Kind
from cloudsim.heat.resources.group import ResourceGroup, members_props
from cloudsim.heat.resources.nested import StackKind
from cloudsim.heat.stack import Resource, Stack
from cloudsim.heat.template import ResourceDefinition, Template

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine, Plan

LISTS = ("unchanged", "updated", "replaced", "added", "deleted")


class Changes:
    """The lists under way. An entry is a resource, or (stack, definition, type) of one that is not there yet."""

    def __init__(self, *, nested: bool) -> None:
        self.nested = nested
        self.entries: dict[str, list[Resource | tuple[Stack, ResourceDefinition, str]]] = {name: [] for name in LISTS}


class View(Stack):
    """A stack as it would be.

    The new template and parameters over the resources that there are. `fresh` names new things.
    """

    __slots__ = ("current", "fresh", "inside_of")

    def __init__(self, engine: Engine, current: Stack | None, names: tuple[str, str, str], template: Template) -> None:
        stack_id, name, project_id = names
        super().__init__(engine, stack_id, name, project_id, template)
        self.current, self.fresh = current, set[str]()
        self.inside_of = ""  # the resource whose nested stack this is

    @override
    def reference(self, name: str) -> Any:
        """The present reference, or something that equals no present one."""
        return f"<new {name}>" if name in self.fresh or self.current is None else self.current.reference(name)

    @override
    def attribute(self, name: str, path: Sequence[Any]) -> Any:
        """The present attribute, or something that equals no present one."""
        if name in self.fresh or self.current is None:
            return f"<new {name} {path[0]}>"
        return self.current.attribute(name, path)


def changes(engine: Engine, stack: Stack, plan: Plan, *, nested: bool) -> Changes:
    """Compare a root stack with a plan that has been checked."""
    found = Changes(nested=nested)
    view = View(engine, stack, (stack.id, stack.name, stack.project_id), plan.template)
    view.user_id, view.base_url = stack.user_id, stack.base_url
    view.environment, view.files, view.params = plan.environment, plan.files, plan.params
    _compare(found, view, stack)
    return found


def _compare(found: Changes, view: View, current: Stack) -> None:
    enabled = view.enabled()
    for name in _in_order(requirements(view, enabled)):
        definition = enabled[name]
        type_name = _resolve(view, definition)
        resource = current.resources.get(name)
        if resource is None:
            view.fresh.add(name)
            _added(found, view, definition, type_name)
        else:
            _one(found, view, resource, definition, type_name)
    for name, resource in current.resources.items():
        if name not in enabled:
            found.entries["deleted"].append(resource)
            _all_deleted(found, resource)


def _in_order(needs: Mapping[str, frozenset[str]]) -> list[str]:
    order: list[str] = []
    left = dict(needs)
    while left:
        free = [name for name, wanted in left.items() if not wanted & left.keys()]
        order += free
        for name in free:
            del left[name]
    return order


def _resolve(view: View, definition: ResourceDefinition) -> str:
    environment = view.root.environment
    return environment.resolve(definition.type, definition.name) if environment else definition.type


def _one(found: Changes, view: View, resource: Resource, definition: ResourceDefinition, type_name: str) -> None:
    outcome = compare.verdict(resource, definition, type_name, view)
    if outcome is None:
        view.fresh.add(resource.name)
        found.entries["replaced"].append((view, definition, type_name))
        _all_deleted(found, resource)
        _all_added(found, view, definition, type_name)
    elif outcome.update:
        found.entries["updated"].append(resource)
        child = resource.nested
        if found.nested and child is not None and isinstance(resource.kind, StackKind):
            inner = _inner(view, resource.name, resource.kind, outcome.props, child)
            _compare(found, inner, child)
    else:
        found.entries["unchanged"].append((view, definition, type_name))


def _inner(view: View, name: str, kind: StackKind, props: Mapping[str, Any], current: Stack | None) -> View:
    """The nested stack as it would be; with nothing in it when there is none yet."""
    if isinstance(kind, ResourceGroup):
        removed = {
            str(item) for policy in props.get("removal_policies") or () for item in policy.get("resource_list") or ()
        }
        props = members_props(props, removed)
    template = kind.template(view, props)
    inner = View(view.engine, current, ("None", f"{view.name}-{name}", view.project_id), template)
    inner.root, inner.params, inner.inside_of = view.root, kind.parameters(view, template, props), name
    return inner


def _added(found: Changes, view: View, definition: ResourceDefinition, type_name: str) -> None:
    if found.nested and view.inside_of and view.engine.kind_of(type_name).nested:
        raise BadRequest(
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        )
    found.entries["added"].append((view, definition, type_name))
    _all_added(found, view, definition, type_name)


def _all_added(found: Changes, view: View, definition: ResourceDefinition, type_name: str) -> None:
    """What is nested in a thing that is added or takes another's place."""
    kind: Kind = view.engine.kind_of(type_name)
    if not found.nested or not isinstance(kind, StackKind):
        return
    try:
        inner = _inner(view, definition.name, kind, kind.prepare(view, definition), None)
        enabled = inner.enabled()
    except HeatFault:
        return  # a value that is only known later stands in the way; the resource itself is listed
    for one in enabled.values():
        _added(found, inner, one, _resolve(inner, one))


def _all_deleted(found: Changes, resource: Resource) -> None:
    if found.nested and resource.nested is not None:
        for inner in resource.nested.resources.values():
            found.entries["deleted"].append(inner)
            _all_deleted(found, inner)
