"""Heat v1: stacks. Mounted at `/orchestration/v1`; resources, events and outputs are in `inside`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import world_of
from cloudsim.heat import check, preview, views
from cloudsim.heat import requests as bodies
from cloudsim.heat.access import Access, HeatRoute, MayAccess, answer, flag
from cloudsim.heat.engine import Owner, engine_of
from cloudsim.heat.errors import BadRequest, EntityNotFound, Forbidden, RemoteError
from cloudsim.heat.inside import router as inside_router
from cloudsim.heat.listing import listed
from cloudsim.heat.schema import TYPES
from cloudsim.heat.stack import Stack
from cloudsim.http import base_url, next_link

router = APIRouter(route_class=HeatRoute)
door = APIRouter(prefix="/orchestration")

_NO_TRUST = (
    "Remote error: Forbidden You are not authorized to perform the requested action: "
    "Delegated tokens cannot manage trusts. (HTTP 403)"
)


@door.get("")
@door.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    links = [views.link(f"{base_url(request)}/orchestration/v1/")]
    return answer({"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]}, 300)


@router.post("/signal/{token}")
async def signal(token: str, request: Request) -> Response:
    """A node's signal to a wait handle; the one-time id in the address is the whole authorisation."""
    engine = engine_of(world_of(request))
    handle = engine.handles.get(token)
    if handle is None:
        raise EntityNotFound("Resource", "wait handle")
    engine.signal(handle, await bodies.body_of(request, empty=True))
    return answer(None)


@router.get("/{project_id}/build_info")
async def build_info(_access: MayAccess) -> Response:
    """Which Heat this is."""
    return answer({"api": {"revision": "unknown"}, "engine": {"revision": "unknown"}})


@router.get("/{project_id}/resource_types")
async def resource_types(_access: MayAccess) -> Response:
    """The types that templates may use."""
    return answer({"resource_types": sorted(TYPES)})


@router.post("/{project_id}/validate")
async def validate(may: MayAccess, request: Request) -> Response:
    """Check a template."""
    template, env, files = bodies.for_validation(may.engine, await bodies.body_of(request))
    stack = Stack(may.engine, "validate", "validate", may.project_id, template)
    stack.environment, stack.files, stack.user_id = env, files, may.caller.user_id
    check.template_only(may.engine, stack)
    parameters = {name: one.document() for name, one in template.parameters.items()}
    body = {
        "Description": template.description or "No description",
        "Parameters": parameters,
        "Environment": env.document() | {"parameters": env.parameters, "event_sinks": []},
    }
    return answer(body | ({"ParameterGroups": template.parameter_groups} if template.parameter_groups else {}))


@router.get("/{project_id}/stacks")
async def list_stacks(may: MayAccess, request: Request) -> Response:
    """The project's stacks, newest first, filtered."""
    if flag(request, "global_tenant") and not may.engine.world.settings.global_stack_list:
        raise Forbidden("You are not authorized to use stacks:global_index.")
    stacks, total = listed(may, request)
    page = [views.brief(may.base, stack) | {"description": ""} | _project(stack, request) for stack in stacks]
    body = {"stacks": page} | ({"count": total} if flag(request, "with_count") else {})
    return answer(body | _next(request, page))


def _next(request: Request, page: list[dict[str, Any]]) -> dict[str, Any]:
    """The link behind a page that is as long as was asked for."""
    links = next_link(request, "found", page).get("found_links")
    return {"links": links} if links else {}


def _project(stack: Stack, request: Request) -> dict[str, str]:
    return {"project": stack.project_id} if flag(request, "global_tenant") else {}


@router.get("/{project_id}/stacks/detail")
async def detail_stacks(may: MayAccess, request: Request) -> Response:
    """As the list, with everything but outputs."""
    stacks, _ = listed(may, request)
    return answer({"stacks": [views.full(may.base, stack, outputs=False) for stack in stacks]})


def _owner(may: Access) -> Owner:
    return Owner(may.project_id, may.caller.user_id, may.caller.user_name, may.base)


@router.post("/{project_id}/stacks")
async def create_stack(may: MayAccess, request: Request) -> Response:
    """Start making a stack.

    Refused to delegated tokens: Heat would make a trust of them, and Keystone does not let it.
    """
    may.may_write()
    body = await bodies.body_of(request)
    name = bodies.stack_name(body)
    plan = bodies.plan_for_new(may.engine, body)
    if may.caller.delegated:
        raise RemoteError(_NO_TRUST)
    stack = may.engine.create(_owner(may), name, plan)
    where = views.stack_url(may.base, stack)
    response = answer({"stack": {"id": stack.id, "links": [views.link(where)]}}, 201)
    response.headers["Location"] = where
    return response


@router.post("/{project_id}/stacks/preview")
async def preview_stack(may: MayAccess, request: Request) -> Response:
    """What a stack would be, without making it."""
    may.may_write()
    body = await bodies.body_of(request)
    stack = may.engine.preview(_owner(may), bodies.stack_name(body), bodies.plan_for_new(may.engine, body))
    names = [{"resource_name": one.name, "resource_type": one.type} for one in stack.enabled().values()]
    return answer({"stack": views.full(may.base, stack, outputs=False) | {"resources": names}})


@router.api_route("/{project_id}/stacks/{name}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def lookup(may: MayAccess, request: Request, name: str) -> Response:
    """Send the caller to the stack's own address, which has name and id."""
    return _redirect(may, request, name)


@router.get("/{project_id}/stacks/{name}/resources")
@router.get("/{project_id}/stacks/{name}/events")
@router.get("/{project_id}/stacks/{name}/template")
@router.get("/{project_id}/stacks/{name}/outputs")
@router.api_route("/{project_id}/stacks/{name}/actions", methods=["GET", "POST"])
async def lookup_part(may: MayAccess, request: Request, name: str) -> Response:
    """Send the caller to the part of the stack's own address."""
    return _redirect(may, request, name, "/" + request.url.path.rsplit("/", 1)[-1])


def _redirect(may: Access, request: Request, name: str, rest: str = "") -> Response:
    stack = may.engine.find(may.project_id, name)
    query = urlencode(list(request.query_params.multi_items()))
    location = views.stack_url(may.base, stack) + rest + (f"?{query}" if query else "")
    said = (
        f'The resource was found at <a href="{location}">{location}</a>;\nyou should be redirected automatically.\n\n'
    )
    response = answer({"message": said, "code": "302 Found", "title": "Found"}, 302)
    response.headers["Location"] = location
    return response


@router.get("/{project_id}/stacks/{name}/{stack_id}")
async def show_stack(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """One stack with parameters and outputs; `resolve_outputs=false` leaves the outputs out."""
    outputs = request.query_params.get("resolve_outputs", "true").lower() != "false"
    return answer({"stack": views.full(may.base, may.stack(name, stack_id), outputs=outputs)})


@router.put("/{project_id}/stacks/{name}/{stack_id}")
async def update_stack(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """Start an update to exactly what the request says."""
    return await _update(may, request, name, stack_id, existing=False)


@router.patch("/{project_id}/stacks/{name}/{stack_id}")
async def patch_stack(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """Start an update that keeps what the request does not name."""
    return await _update(may, request, name, stack_id, existing=True)


async def _update(may: Access, request: Request, name: str, stack_id: str, *, existing: bool) -> Response:
    may.may_write()
    body = await bodies.body_of(request)
    stack = _living(may, name, stack_id)
    may.engine.update(stack, bodies.plan_for_update(may.engine, stack, body, existing=existing))
    said = "The request is accepted for processing.<br /><br />\n\n\n"
    return answer({"message": said, "code": "202 Accepted", "title": "Accepted"}, 202)


def _living(may: Access, name: str, stack_id: str) -> Stack:
    stack = may.stack(name, stack_id)
    if stack.id not in may.engine.stacks:
        raise EntityNotFound("Stack", name)
    return stack


@router.put("/{project_id}/stacks/{name}/{stack_id}/preview")
async def preview_update(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """What a PUT would do."""
    return await _preview(may, request, name, stack_id, existing=False)


@router.patch("/{project_id}/stacks/{name}/{stack_id}/preview")
async def preview_patch(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """What a PATCH would do."""
    return await _preview(may, request, name, stack_id, existing=True)


async def _preview(may: Access, request: Request, name: str, stack_id: str, *, existing: bool) -> Response:
    may.may_write()
    body = await bodies.body_of(request)
    stack = _living(may, name, stack_id)
    plan = bodies.plan_for_update(may.engine, stack, body, existing=existing)
    may.engine.check_plan(stack, plan)
    found = preview.changes(may.engine, stack, plan, nested=flag(request, "show_nested"))
    return answer({"resource_changes": views.resource_changes(found)})


@router.delete("/{project_id}/stacks/{name}/{stack_id}")
async def delete_stack(may: MayAccess, name: str, stack_id: str) -> Response:
    """Start deleting; of a stack that is gone there is nothing to delete."""
    may.may_write()
    may.engine.delete(_living(may, name, stack_id))
    return Response(status_code=204)


@router.post("/{project_id}/stacks/{name}/{stack_id}/actions")
async def act(may: MayAccess, request: Request, name: str, stack_id: str) -> Response:
    """`cancel_update`, `cancel_without_rollback`, `check`; others are refused by name."""
    may.may_write()
    body = await bodies.body_of(request)
    if len(body) != 1:
        raise BadRequest("Exactly one action must be specified")
    (action,) = body
    stack = _living(may, name, stack_id)
    if action in {"cancel_update", "cancel_without_rollback"}:
        may.engine.cancel_update(stack, rollback=action == "cancel_update")
    elif action == "check":
        may.engine.check(stack)
    else:
        raise BadRequest(f"Invalid action {action} specified")
    return Response(status_code=202)


router.include_router(inside_router)
