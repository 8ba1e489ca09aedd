"""Nova's server groups, at every microversion that changed them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.compute.microversions import NovaRoute, microversion
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, empty, read
from cloudsim.store import Record

router = APIRouter(prefix="/os-server-groups", route_class=NovaRoute)
_HARD = ("anti-affinity", "affinity")
_SOFT = ("soft-anti-affinity", "soft-affinity")
_OWNERS, _SOFT_POLICIES, _ONE_POLICY = (2, 13), (2, 15), (2, 64)
"""From these microversions on: bodies show project and user; soft policies; one policy as text instead of a list."""
_MOST = 1000
_POLICY = "os_compute_api:os-server-groups"


def _shown(request: Request, record: Record) -> Body:
    version, attrs = microversion(request), record.attrs
    members = [server.id for server in world_of(request).store.find("server", server_group=record.id)]
    body: Body = {"id": record.id, "name": attrs["name"], "members": members}
    if version >= _ONE_POLICY:
        body |= {"policy": attrs["policy"], "rules": {}}
    else:
        body |= {"policies": [attrs["policy"]], "metadata": {}}
    owners = {"project_id": record.project_id, "user_id": attrs.get("user_id", "")}
    return body | owners if version >= _OWNERS else body


def _find(request: Request, caller: Caller, group_id: str) -> Record:
    record = world_of(request).store.get("server_group", group_id)
    if record is None or not (record.project_id == caller.project_id or caller.is_admin):
        raise ApiFault(404, f"Instance group {group_id} could not be found.")
    return record


@router.get("")
async def index(request: Request, caller: ProjectCaller) -> Response:
    """The project's groups, by `limit` and `offset`; all of them for administrators who ask for `all_projects`."""
    query = request.query_params
    everywhere = "all_projects" in query and caller.is_admin
    found = world_of(request).store.list("server_group", None if everywhere else caller.project_id)
    limit, offset = (_number(query.get(name), name) for name in ("limit", "offset"))
    page = found[offset : offset + (min(limit, _MOST) or _MOST)]
    return answer({"server_groups": [_shown(request, one) for one in page]})


def _number(text: str | None, name: str) -> int:
    if text is not None and not text.isdecimal():
        raise ApiFault(400, f"Invalid input for query parameters {name}. Value: {text}.")
    return int(text or 0)


@router.post("")
async def create(request: Request, caller: ProjectCaller) -> Response:
    """Make a group; names need not be unique."""
    caller.require_write(f"{_POLICY}:create")
    world, body = world_of(request), await read(request, "server_group")
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise _invalid("server_group", body, "'name' is a required property")
    attrs = {"name": body["name"], "policy": _policy(microversion(request), body), "user_id": caller.user_id}
    world.quotas.server_group(caller.project_id)
    return answer({"server_group": _shown(request, world.store.create("server_group", caller.project_id, attrs))})


def _policy(version: tuple[int, int], body: Body) -> str:
    wanted, unwanted = ("policy", "policies") if version >= _ONE_POLICY else ("policies", "policy")
    if wanted not in body:
        raise _invalid("server_group", body, f"'{wanted}' is a required property")
    if unwanted in body:
        raise _invalid("server_group", body, f"Additional properties are not allowed ('{unwanted}' was unexpected)")
    given = [body[wanted]] if wanted == "policy" else body[wanted]
    allowed = _HARD + (_SOFT if version >= _SOFT_POLICIES else ())
    if not isinstance(given, list) or len(given) != 1:
        raise _invalid(wanted, given, f"{given} is not a list of one policy")
    if given[0] not in allowed:
        raise _invalid(wanted, body[wanted], f"'{given[0]}' is not one of {list(allowed)}")
    return str(given[0])


def _invalid(field: str, value: object, why: str) -> ApiFault:
    return ApiFault(400, f"Invalid input for field/attribute {field}. Value: {value}. {why}")


@router.get("/{group_id}")
async def show(request: Request, group_id: str, caller: ProjectCaller) -> Response:
    """One group with its members."""
    return answer({"server_group": _shown(request, _find(request, caller, group_id))})


@router.delete("/{group_id}")
async def delete(request: Request, group_id: str, caller: ProjectCaller) -> Response:
    """Delete a group; its members live on."""
    record = _find(request, caller, group_id)
    caller.require_write(f"{_POLICY}:delete")
    world_of(request).store.delete("server_group", record.id)
    return empty()
