"""Stacks, resources and events as Heat v1 writes them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cloudsim.heat.errors import HeatFault
from cloudsim.heat.preview import Changes, View
from cloudsim.heat.resources.nested import StackKind
from cloudsim.heat.stack import COMPLETE, Resource, Stack
from cloudsim.heat.template import OutputDefinition, ResourceDefinition

Body = dict[str, Any]
_WAITS = "OS::Heat::WaitCondition"


@lru_cache(maxsize=1024)
def iso(second: int | None) -> str | None:
    """Heat's times: UTC, whole seconds, with a Z."""
    return None if second is None else datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stack_url(base: str, stack: Stack) -> str:
    """Where a stack is shown."""
    return f"{base}/orchestration/v1/{stack.project_id}/stacks/{stack.name}/{stack.id}"


def link(url: str, rel: str = "self") -> Body:
    """A link."""
    return {"href": url, "rel": rel}


def brief(base: str, stack: Stack) -> Body:
    """As in `GET /stacks`."""
    return {
        "id": stack.id,
        "links": [link(stack_url(base, stack))],
        "stack_name": stack.name,
        "description": stack.template.description or "No description",
        "stack_status": stack.full_status,
        "stack_status_reason": stack.reason,
        "creation_time": iso(stack.created_at),
        "updated_time": iso(stack.updated_at),
        "deletion_time": iso(stack.deleted_at),
        "stack_owner": stack.user_name,
        "parent": stack.parent.stack.id if stack.parent else None,
        "stack_user_project_id": user_project(stack),
        "tags": list(stack.root.tags) or None,
    }


def user_project(stack: Stack) -> str:
    """The project in Heat's own domain that belongs to the stack."""
    return uuid.uuid5(uuid.NAMESPACE_OID, stack.root.id).hex


def full(base: str, stack: Stack, *, outputs: bool = True) -> Body:
    """As in `GET /stacks/{name}/{id}` and `GET /stacks/detail`."""
    root = stack.root
    body = brief(base, stack) | {
        "parameters": parameters(stack),
        "template_description": stack.template.description or "No description",
        "capabilities": [],
        "notification_topics": [],
        "tags": list(root.tags),
        "disable_rollback": root.disable_rollback,
        "timeout_mins": root.timeout_mins,
    }
    if outputs and not (stack.action == "DELETE" and stack.status == COMPLETE):
        body["outputs"] = [output(stack, one) for one in enabled_outputs(stack)]
    return body


def parameters(stack: Stack) -> dict[str, str]:
    """All parameters as text, hidden ones masked."""
    shown = {"OS::project_id": stack.project_id, "OS::stack_id": stack.id, "OS::stack_name": stack.name}
    for name, schema in stack.template.parameters.items():
        shown[name] = schema.shown(stack.params.get(name, schema.default))
    return shown


def enabled_outputs(stack: Stack) -> Iterator[OutputDefinition]:
    """Outputs whose condition holds."""
    parent = stack.parent
    if parent is not None and isinstance(parent.kind, StackKind):
        found = parent.kind.outputs(parent, stack)
    else:
        found = stack.template.outputs.values()
    return (one for one in found if one.condition is None or one.condition.evaluate(stack))


def output(stack: Stack, definition: OutputDefinition) -> Body:
    """One output with its value; null and the error when it has none."""
    described = definition.description or "No description given"
    body: Body = {"output_key": definition.name, "description": described, "output_value": None}
    try:
        body["output_value"] = definition.value.evaluate(stack)
    except (HeatFault, ValueError, KeyError) as error:
        body["output_error"] = str(error)
    return body


def resource(base: str, one: Resource, *, detail: bool = False, attributes: bool = False) -> Body:
    """As in `GET …/resources`, with `detail` as in `GET …/resources/{name}`."""
    stack = one.stack
    own = stack_url(base, stack)
    links = [link(f"{own}/resources/{one.name}"), link(own, "stack")]
    if one.nested is not None:
        links.append(link(stack_url(base, one.nested), "nested"))
    body: Body = {
        "resource_name": one.name,
        "logical_resource_id": one.name,
        "links": links,
        "resource_type": one.definition.type,
        "resource_status": one.full_status,
        "resource_status_reason": one.reason,
        # A wait condition is nothing outside of Heat, so it has none.
        "physical_resource_id": (one.definition.type != _WAITS and one.physical_id) or "",
        "required_by": [other.name for other in stack.resources.values() if one.name in other.requires],
        "creation_time": iso(one.created_at),
        "updated_time": iso(one.updated_at),
    }
    if stack.parent is not None:
        body["parent_resource"] = stack.parent.name
    if detail:
        body |= {"description": "", "attributes": _attributes(one) if attributes else {}}
    return body


def _attributes(one: Resource) -> Body:
    if one.physical_id is None:
        return {}
    names = [name for name in one.kind.schema.attributes if name != "*"]
    if one.nested is not None:
        names += list(one.nested.template.outputs)
    try:
        return {name: one.kind.attribute(one, [name]) for name in names}
    except (HeatFault, KeyError, ValueError):
        return {}


def metadata(one: Resource) -> Any:
    """A resource's metadata."""
    return one.definition.metadata.evaluate(one.stack) if one.definition.metadata is not None else {}


def event_id(stack: Stack, serial: int) -> str:
    """A uuid that is the same each time it is asked for."""
    return f"{stack.id[:24]}{serial:012x}"


def events(base: str, stack: Stack, *, with_root: bool = False) -> Iterator[tuple[int, int, Body]]:
    """Second, serial and body of each event of one stack, oldest first."""
    own = stack_url(base, stack)
    for serial, second, name, status, reason, physical_id in stack.each_event():
        links = [
            link(f"{own}/resources/{name}/events/{event_id(stack, serial)}"),
            link(f"{own}/resources/{name}", "resource"),
            link(own, "stack"),
        ]
        if with_root:
            links.append(link(stack_url(base, stack.root), "root_stack"))
        yield (
            second,
            serial,
            {
                "id": event_id(stack, serial),
                "links": links,
                "event_time": iso(second),
                "resource_name": name,
                "logical_resource_id": name,
                "resource_status": status,
                "resource_status_reason": reason,
                "physical_resource_id": physical_id or "",
            },
        )


def resource_changes(found: Changes) -> Body:
    """The five lists of a preview."""
    return {name: [_entry(one) for one in entries] for name, entries in found.entries.items()}


def _entry(one: Resource | tuple[Stack, ResourceDefinition, str]) -> Body:
    """A resource in a preview.

    One that is not there yet has no physical id, and one to be replaced is shown as its successor.
    """
    if isinstance(one, Resource):
        stack, name, type_name = one.stack, one.name, one.definition.type
        state: Mapping[str, Any] = {
            "resource_action": one.action,
            "resource_status": one.status,
            "physical_resource_id": one.physical_id or "",
        }
        times = {"creation_time": iso(one.created_at), "updated_time": iso(one.updated_at)}
        nested = {"nested_stack_id": _identity(one.nested)} if one.nested is not None else {}
    else:
        stack, definition, _ = one
        name, type_name = definition.name, definition.type
        state = {"resource_action": "INIT", "resource_status": COMPLETE, "physical_resource_id": ""}
        times, nested = {"creation_time": None, "updated_time": None}, {}
    identity = _identity(stack)
    body = {
        "resource_name": name,
        "resource_type": type_name,
        "resource_status_reason": "",
        "resource_identity": identity | {"path": f"/resources/{name}"},
        "stack_identity": identity,
        "stack_name": stack.name,
        "required_by": [],
        "description": "",
        "metadata": {},
        "attributes": {},
    }
    parent_name = stack.inside_of if isinstance(stack, View) else stack.parent.name if stack.parent is not None else ""
    parent = {"parent_resource": parent_name} if parent_name else {}
    return {**body, **state, **times, **nested, **parent}


def _identity(stack: Stack) -> Body:
    return {"tenant": stack.project_id, "stack_name": stack.name, "stack_id": stack.id, "path": ""}
