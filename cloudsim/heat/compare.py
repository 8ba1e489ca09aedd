"""What an update does to a resource that exists: nothing, a change in place, or a replacement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cloudsim.heat.stack import COMPLETE, Resource, Stack, differences, snapshot
from cloudsim.heat.template import ResourceDefinition


class Verdict(NamedTuple):
    """The resource stays. `update`: it has to be changed, in these properties."""

    update: bool
    props: Mapping[str, Any]
    changed: frozenset[str]


def verdict(resource: Resource, definition: ResourceDefinition, type_name: str, context: Stack) -> Verdict | None:
    """How the resource gets to its new definition;

    None when it must be replaced. Raises HeatFault for a bad definition.

    A nested stack is always updated, as in Heat: its own resources decide.
    """
    kind = resource.kind
    if type_name != resource.type and not (kind.nested and context.engine.kind_of(type_name).nested):
        return None
    if kind.nested:
        if resource.nested is None:
            return None
        return Verdict(update=True, props=kind.prepare(context, definition), changed=frozenset())
    failed = resource.status != COMPLETE
    if failed and kind.broken(resource):
        return None
    props = kind.prepare(context, definition)
    changed = differences(resource.properties, snapshot(props, whole=kind.whole))
    if kind.replaces(changed, props):
        return None
    changed -= kind.ignores(props)
    return Verdict(update=bool(changed) or failed, props=props, changed=changed)
