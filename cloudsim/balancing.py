"""Octavia v2.0: load balancers can be made, shown and deleted; what hangs on them is made by Heat, and shown.

A load balancer is PENDING_CREATE or PENDING_DELETE for `balancer_seconds`, and refuses changes with 409 meanwhile; one
whose name is in `settings.stuck_balancers` does not leave the state that it is in.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim import load_balancers
from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, as_text, base_url, empty, read, select
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
_BALANCER: Body = {"vip_sg_ids": [], "additional_vips": [], "provider": "amphora", "vip_vnic_type": "normal"}
_BALANCER |= dict.fromkeys(("flavor_id", "availability_zone", "vip_qos_policy_id"))
_TITLES = {
    "loadbalancer": "Load Balancer",
    "listener": "Listener",
    "pool": "Pool",
    "health_monitor": "Health Monitor",
}
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
    return answer({"quota": _quota(request, project_id)})


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
    world_of(request).quotas.set("load-balancer", project_id, limits)
    return answer({"quota": _quota(request, project_id)}, 202)


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
    key, _, way = request.query_params.get("sort", "").partition(":")
    if key:
        bodies.sort(key=lambda one: as_text(one.get(key)), reverse=way == "desc")
    page = select(bodies, request)
    return answer({collection: page, f"{collection}_links": _links(request, page)})


def _links(request: Request, page: list[Body]) -> list[Body]:
    """To the page before, where a marker was given, and to the one behind a full one."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "marker"]
    limit, address = request.query_params.get("limit", ""), f"{base_url(request)}{request.url.path}"
    if not page or not limit.isdigit():
        return []
    back = [("marker", page[0]["id"]), ("page_reverse", "True")]
    links = [{"rel": "previous", "href": f"{address}?{urlencode([*query, *back], safe=':')}"}]
    full = {"rel": "next", "href": f"{address}?{urlencode([*query, ('marker', page[-1]['id'])], safe=':')}"}
    return (links if "marker" in request.query_params else []) + ([full] if len(page) == int(limit) else [])


@router.post(f"{_LBAAS}/loadbalancers")
async def create(request: Request, caller: ProjectCaller) -> Response:
    """Make one; it has its address at once and is ACTIVE later."""
    caller.require_write()
    world = world_of(request)
    record = load_balancers.create(world, caller.project_id, await read(request, "loadbalancer"))
    return answer({"loadbalancer": _shown(world, record) | {"updated_at": None}}, 201)


@router.put(f"{_LBAAS}/loadbalancers/{{thing_id}}")
async def update(request: Request, thing_id: str, caller: ProjectCaller) -> Response:
    """Change one; it is PENDING_UPDATE until that is done."""
    caller.require_write()
    world = world_of(request)
    record = _own(world, "loadbalancer", thing_id, caller)
    load_balancers.update(world, record, await read(request, "loadbalancer"))
    return answer({"loadbalancer": _shown(world, record)}, 202)


@router.delete(f"{_LBAAS}/loadbalancers/{{thing_id}}")
async def delete(request: Request, thing_id: str, caller: ProjectCaller) -> Response:
    """Delete one; with `cascade` all that hangs on it as well, else it must have nothing."""
    caller.require_write()
    world = world_of(request)
    cascade = request.query_params.get("cascade", "").lower() in {"1", "true"}
    load_balancers.delete(world, _own(world, "loadbalancer", thing_id, caller), cascade=cascade)
    return empty()


@router.get(f"{_LBAAS}/{{collection}}/{{thing_id}}")
async def show(request: Request, collection: str, thing_id: str, caller: ProjectCaller) -> Response:
    """One of them."""
    world, kind = world_of(request), _kind(collection)
    return answer({collection.removesuffix("s"): _shown(world, _own(world, kind, thing_id, caller))})


def _own(world: World, kind: str, thing_id: str, caller: Caller) -> Record:
    record = world.store.get(kind, thing_id)
    if record is None:
        raise ApiFault(404, f"{_TITLES[kind]} {thing_id} not found.")
    if not (record.project_id == caller.project_id or caller.is_admin):
        raise _forbidden()
    return record


def _kind(collection: str) -> str:
    if collection not in _COLLECTIONS:
        raise ApiFault(404, "The resource could not be found.")
    return _COLLECTIONS[collection]


def _shown(world: World, record: Record) -> Body:
    body = _body(record)
    if record.kind == "loadbalancer":
        made = world.clock.iso(record.created_at).removesuffix("Z")
        body = _BALANCER | body | {"created_at": made, "updated_at": made}
        for kind in ("listener", "pool"):
            found = world.store.find(kind, loadbalancer_id=record.id)
            body[f"{kind}s"] = [{"id": one.id} for one in found]
    if record.kind == "pool":
        body["members"] = [{"id": one.id} for one in world.store.find("pool_member", pool_id=record.id)]
    return body


def _body(record: Record) -> dict[str, Any]:
    return {**_UP, **record.attrs, "id": record.id, "project_id": record.project_id, "tenant_id": record.project_id}


def _quota(request: Request, project_id: str) -> Body:
    limits = _both_names(world_of(request).quotas.limits("load-balancer", project_id))
    return limits | {"project_id": project_id, "tenant_id": project_id}


def _both_names(limits: dict[str, int]) -> Body:
    return limits | {new: limits[old] for old, new in _OLD_NAMES.items()}


def _administrator(caller: Caller) -> None:
    if not caller.is_admin:
        raise _forbidden()


def _forbidden() -> ApiFault:
    return ApiFault(403, "Policy does not allow this request to be performed.")
