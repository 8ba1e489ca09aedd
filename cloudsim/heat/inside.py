"""Heat v1: what is inside a stack: resources, events, outputs, template, files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.heat import requests as bodies
from cloudsim.heat import views
from cloudsim.heat.access import Access, HeatRoute, MayAccess, answer, flag
from cloudsim.heat.errors import BadRequest, EntityNotFound, NotSupported, ResourceNotFound
from cloudsim.heat.resources.waits import HandleState
from cloudsim.heat.stack import Resource, Stack
from cloudsim.heat.template import MemberDefinition

router = APIRouter(route_class=HeatRoute, prefix="/{project_id}/stacks/{name}/{stack_id}")


def _depth(request: Request) -> int:
    text = request.query_params.get("nested_depth", "0")
    if not text.isdigit():
        raise BadRequest(f"Only positive integer is allowed for nested_depth, not {text}")
    return int(text)


def _below(stack: Stack, depth: int) -> Iterator[Stack]:
    """The stack, and those nested in it down to a depth."""
    yield stack
    if depth > 0:
        for resource in stack.resources.values():
            if resource.nested is not None:
                yield from _below(resource.nested, depth - 1)


@router.get("/resources")
async def list_resources(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """Resources, with those of nested stacks down to `nested_depth`; filtered by type, status, name."""
    detail = flag(request, "with_detail")
    query = request.query_params
    found = [
        views.resource(may.base, one, detail=detail)
        for part in _below(may.stack(name, stack_id), _depth(request))
        for one in part.resources.values()
        if _wanted(one, query.getlist("type"), query.getlist("status"), query.getlist("name"))
    ]
    return answer({"resources": found})


def _wanted(one: Resource, types: list[str], statuses: list[str], names: list[str]) -> bool:
    return (
        (not types or one.definition.type in types)
        and (not statuses or one.status in statuses or one.full_status in statuses)
        and (not names or one.name in names)
    )


def _resource(may: Access, name: str, stack_id: str, resource_name: str) -> Resource:
    stack = may.stack(name, stack_id)
    found = stack.resources.get(resource_name)
    if found is None:
        raise ResourceNotFound(resource_name, stack.name)
    return found


@router.get("/resources/{resource_name}")
async def show_resource(may: MayAccess, name: str, stack_id: str, resource_name: str) -> Response:
    """One resource with its attributes."""
    found = _resource(may, name, stack_id, resource_name)
    return answer({"resource": views.resource(may.base, found, detail=True, attributes=True)})


@router.get("/resources/{resource_name}/metadata")
async def show_metadata(may: MayAccess, name: str, stack_id: str, resource_name: str) -> Response:
    """A resource's metadata."""
    return answer({"metadata": views.metadata(_resource(may, name, stack_id, resource_name))})


@router.post("/resources/{resource_name}/signal")
async def signal_resource(may: MayAccess, request: Request, name: str, stack_id: str, resource_name: str) -> Response:
    """A signal with a token in place of the one-time address."""
    may.may_write()
    found = _resource(may, name, stack_id, resource_name)
    if not isinstance(found.data, HandleState):
        raise NotSupported(f"Signal resource during {found.full_status} is not supported.")
    may.engine.signal(found, await bodies.body_of(request, empty=True))
    return answer(None)


@router.get("/events")
async def list_events(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """Events in the order in which they happened, with those of nested stacks down to `nested_depth`."""
    depth = _depth(request)
    found = [
        one
        for part in _below(may.stack(name, stack_id), depth)
        for one in views.events(may.base, part, with_root=depth > 0)
    ]
    found.sort(key=lambda one: one[:2])
    return answer({"events": _page([body for _, _, body in found], request)})


def _page(events: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    query = request.query_params
    for field in ("resource_name", "resource_status"):
        if wanted := query.getlist(field):
            events = [one for one in events if one[field] in wanted]
    if query.get("sort_dir") == "desc":
        events = events[::-1]
    if marker := query.get("marker"):
        ids = [one["id"] for one in events]
        events = events[ids.index(marker) + 1 :] if marker in ids else []
    limit = query.get("limit", "")
    return events[: int(limit)] if limit.isdigit() else events


@router.get("/resources/{resource_name}/events")
async def list_resource_events(
    may: MayAccess, request: Request, name: str, stack_id: str, resource_name: str
) -> Response:
    """Events of one resource."""
    found = [
        body
        for _, _, body in views.events(may.base, may.stack(name, stack_id))
        if body["resource_name"] == resource_name
    ]
    return answer({"events": _page(found, request)})


@router.get("/resources/{resource_name}/events/{event_id}")
async def show_event(may: MayAccess, name: str, stack_id: str, resource_name: str, event_id: str) -> Response:
    """One event."""
    for _, _, body in views.events(may.base, may.stack(name, stack_id)):
        if body["id"] == event_id and body["resource_name"] == resource_name:
            return answer({"event": body})
    raise EntityNotFound("Event", event_id)


@router.get("/outputs")
async def list_outputs(may: MayAccess, name: str, stack_id: str) -> Response:
    """Names and descriptions."""
    stack = may.stack(name, stack_id)
    found = [{"output_key": one.name, "description": one.description} for one in views.enabled_outputs(stack)]
    return answer({"outputs": found})


@router.get("/outputs/{key}")
async def show_output(may: MayAccess, name: str, stack_id: str, key: str) -> Response:
    """One output with its value."""
    stack = may.stack(name, stack_id)
    for one in views.enabled_outputs(stack):
        if one.name == key:
            return answer({"output": views.output(stack, one)})
    raise EntityNotFound("Stack output", key)


@router.get("/template")
async def show_template(may: MayAccess, name: str, stack_id: str) -> Response:
    """The template as it was given; for a group's stack, the members that were made."""
    template = may.stack(name, stack_id).template
    if "resources" in template.raw or not template.resources:
        return answer(template.raw)
    members = {
        key: {"type": one.type, "properties": dict(one.values)}
        for key, one in template.resources.items()
        if isinstance(one, MemberDefinition)
    }
    return answer({**template.raw, "resources": members})


@router.get("/environment")
async def show_environment(may: MayAccess, name: str, stack_id: str) -> Response:
    """The environment, hidden parameters masked."""
    root = may.stack(name, stack_id).root
    env = root.environment
    if env is None:
        return answer({})
    shown = {key: root.template.parameters[key].shown(value) for key, value in root.params.items()}
    return answer({"parameters": shown, **env.document()})


@router.get("/files")
async def show_files(may: MayAccess, name: str, stack_id: str) -> Response:
    """The attached files."""
    return answer(dict(may.stack(name, stack_id).root.files))
