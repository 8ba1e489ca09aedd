"""Octavia v2.0, read only but for its quotas: Heat makes load balancers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, read, select
from cloudsim.quota import UNLIMITED
from cloudsim.store import Record
from cloudsim.world import World

router = APIRouter(prefix="/load-balancer")
_LBAAS = "/v2.0/lbaas"
_COLLECTIONS = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "healthmonitors": "health_monitor",
}
_UP = {"provisioning_status": "ACTIVE", "operating_status": "ONLINE", "admin_state_up": True, "tags": []}
_OLD_NAMES = {"load_balancer": "loadbalancer", "health_monitor": "healthmonitor"}
"""Octavia shows these quotas under a second name, and takes both."""


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are."""
    links = [{"rel": "self", "href": f"{base_url(request)}/load-balancer/v2"}]
    return answer({"versions": [{"id": "v2.27", "status": "CURRENT", "updated": "2023-05-05", "links": links}]})


@router.get(f"{_LBAAS}/quotas/{{project_id}}")
async def show_quota(request: Request, project_id: str, caller: ProjectCaller) -> Response:
    """A project's limits; Octavia does not tell what is used of them."""
    if project_id != caller.project_id and not caller.is_admin:
        raise _forbidden()
    return answer({"quota": _both_names(world_of(request).quotas.limits("load-balancer", project_id))})


@router.get(f"{_LBAAS}/quotas/{{project_id}}/default")
async def default_quota(request: Request, project_id: str, caller: ProjectCaller) -> Response:
    """The limits of a project for which nobody set any."""
    names = world_of(request).quotas.names("load-balancer")
    return answer({"quota": _both_names(dict.fromkeys(names, UNLIMITED))})


@router.put(f"{_LBAAS}/quotas/{{project_id}}")
async def set_quota(request: Request, project_id: str, caller: ProjectCaller) -> Response:
    """Set limits."""
    _administrator(caller)
    given = await read(request, "quota")
    own = {new: old for old, new in _OLD_NAMES.items()}
    limits = {own.get(name, name): value for name, value in given.items()}
    return answer({"quota": _both_names(world_of(request).quotas.set("load-balancer", project_id, limits))}, 202)


@router.delete(f"{_LBAAS}/quotas/{{project_id}}")
async def forget_quota(request: Request, project_id: str, caller: ProjectCaller) -> Response:
    """Back to no limits."""
    _administrator(caller)
    world_of(request).quotas.forget("load-balancer", project_id)
    return empty()


@router.get(f"{_LBAAS}/pools/{{pool_id}}/members")
async def members(request: Request, pool_id: str, caller: ProjectCaller) -> Response:
    """The members of a pool."""
    found = world_of(request).store.find("pool_member", pool_id=pool_id, project_id=caller.project_id)
    return answer({"members": [_body(one) for one in found]})


@router.get(f"{_LBAAS}/{{collection}}")
async def index(request: Request, collection: str, caller: ProjectCaller) -> Response:
    """The project's things of a kind; those of another project for administrators who name it."""
    kind = _kind(collection)
    wanted = request.query_params.get("project_id", caller.project_id)
    if wanted != caller.project_id and not caller.is_admin:
        raise _forbidden()
    world = world_of(request)
    bodies = [_shown(world, one) for one in world.store.list(kind, wanted)]
    return answer({collection: select(bodies, request), f"{collection}_links": []})


@router.get(f"{_LBAAS}/{{collection}}/{{thing_id}}")
async def show(request: Request, collection: str, thing_id: str, caller: ProjectCaller) -> Response:
    """One of them."""
    world, kind = world_of(request), _kind(collection)
    record = world.store.get(kind, thing_id)
    if record is None or not (record.project_id == caller.project_id or caller.is_admin):
        raise ApiFault(404, f"{kind} {thing_id} not found.")
    return answer({collection.removesuffix("s"): _shown(world, record)})


def _kind(collection: str) -> str:
    if collection not in _COLLECTIONS:
        raise ApiFault(404, "The resource could not be found.")
    return _COLLECTIONS[collection]


def _shown(world: World, record: Record) -> Body:
    body = _body(record)
    if record.kind == "pool":
        body["members"] = [{"id": one.id} for one in world.store.find("pool_member", pool_id=record.id)]
    return body


def _body(record: Record) -> dict[str, Any]:
    return {**_UP, **record.attrs, "id": record.id, "project_id": record.project_id}


def _both_names(limits: dict[str, int]) -> Body:
    return limits | {new: limits[old] for old, new in _OLD_NAMES.items()}


def _administrator(caller: Caller) -> None:
    if not caller.is_admin:
        raise _forbidden()


def _forbidden() -> ApiFault:
    return ApiFault(403, "Policy does not allow this request to be performed.")
