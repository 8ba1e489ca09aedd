"""Neutron v2.0: one pair of generic routes for every collection, and the few that are not generic.

Quotas are in `quota_routes`.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim import networking
from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.auth import caller as caller_of
from cloudsim.errors import ApiFault, not_found
from cloudsim.http import Body, answer, base_url, empty, read, select
from cloudsim.store import INDEXED, Record
from cloudsim.world import World

router = APIRouter(prefix="/network")


class Collection(NamedTuple):
    """One collection: the record kind behind it, the key of a single body, and what a body holds when nobody set it."""

    kind: str
    key: str
    defaults: dict[str, Any]


_UP = {"status": "ACTIVE", "admin_state_up": True, "description": "", "tags": []}
COLLECTIONS = {
    "networks": Collection("network", "network", _UP | {"shared": False, "router:external": False, "mtu": 1450}),
    "subnets": Collection(
        "subnet",
        "subnet",
        {"ip_version": 4, "enable_dhcp": True, "dns_nameservers": [], "host_routes": [], "description": "", "tags": []},
    ),
    "ports": Collection(
        "port",
        "port",
        _UP
        | {"device_id": "", "device_owner": "", "security_groups": [], "allowed_address_pairs": [], "fixed_ips": []},
    ),
    "routers": Collection("router", "router", _UP | {"external_gateway_info": None, "routes": [], "ha": False}),
    "floatingips": Collection(
        "floatingip",
        "floatingip",
        {"status": "DOWN", "port_id": None, "fixed_ip_address": None, "router_id": None, "description": "", "tags": []},
    ),
    "security-groups": Collection(
        "security_group", "security_group", {"description": "", "stateful": True, "tags": []}
    ),
    "security-group-rules": Collection(
        "security_group_rule",
        "security_group_rule",
        dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
        | {"direction": "ingress", "ethertype": "IPv4", "description": ""},
    ),
}
_HIDDEN = frozenset({"made_by_nova"})
_EXTENSIONS = ("router", "external-net", "security-group", "standard-attr-tag", "quotas", "quota_details")


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are."""
    links = [{"rel": "self", "href": f"{base_url(request)}/network/v2.0/"}]
    return answer({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})


@router.get("/v2.0")
@router.get("/v2.0/")
async def resources(request: Request) -> Response:
    """What version 2.0 offers."""
    url = f"{base_url(request)}/network/v2.0/"
    found = [
        {"name": c.key, "collection": n, "links": [{"rel": "self", "href": url + n}]} for n, c in COLLECTIONS.items()
    ]
    return answer({"resources": found})


@router.get("/v2.0/extensions", dependencies=[Depends(caller_of)])
async def extensions() -> Response:
    """The extensions whose effects are simulated."""
    return answer({"extensions": [{"alias": alias, "name": alias} for alias in _EXTENSIONS]})


@router.put("/v2.0/routers/{router_id}/add_router_interface")
async def add_interface(request: Request, router_id: str, caller: ProjectCaller) -> Response:
    """Put a router on a subnet."""
    caller.require_write()
    world = world_of(request)
    found = _visible(world, "router", router_id, caller)
    body = await _plain(request)
    return answer(_interface(networking.add_router_interface(world, found, str(body.get("subnet_id", "")))))


@router.put("/v2.0/routers/{router_id}/remove_router_interface")
async def remove_interface(request: Request, router_id: str, caller: ProjectCaller) -> Response:
    """Take a router off a subnet."""
    caller.require_write()
    world = world_of(request)
    found = _visible(world, "router", router_id, caller)
    body = await _plain(request)
    subnet_id, port_id = str(body.get("subnet_id", "")), str(body.get("port_id", ""))
    return answer(_interface(networking.remove_router_interface(world, found, subnet_id=subnet_id, port_id=port_id)))


@router.put("/v2.0/{collection}/{record_id}/tags")
async def set_tags(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Replace all tags of anything."""
    caller.require_write()
    world = world_of(request)
    record = _visible(world, _collection(collection).kind, record_id, caller)
    tags = (await _plain(request)).get("tags", [])
    world.store.update(record, tags=tags)
    return answer({"tags": tags})


@router.get("/v2.0/{collection}")
async def index(request: Request, collection: str, caller: ProjectCaller) -> Response:
    """List a collection: one's own, what is shared, and everything for administrators."""
    world, described = world_of(request), _collection(collection)
    records = [r for r in _candidates(world, described.kind, request, caller) if _may_see(caller, r)]
    bodies = [_render(world, described, r) for r in records]
    return answer({collection.replace("-", "_"): select(bodies, request)})


@router.post("/v2.0/{collection}")
async def create(request: Request, collection: str, caller: ProjectCaller) -> Response:
    """Create anything of which there is a collection."""
    caller.require_write()
    world, described = world_of(request), _collection(collection)
    attrs = await read(request, described.key)
    project_id = str(attrs.pop("tenant_id", None) or attrs.pop("project_id", None) or caller.project_id)
    _own_or_admin(caller, project_id)
    record = networking.CREATE[described.kind](world, project_id, attrs)
    return answer({described.key: _render(world, described, record)}, 201)


@router.get("/v2.0/{collection}/{record_id}")
async def show(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Show one."""
    world, described = world_of(request), _collection(collection)
    return answer({described.key: _render(world, described, _visible(world, described.kind, record_id, caller))})


@router.put("/v2.0/{collection}/{record_id}")
async def update(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Change attributes of one; a floating address is pointed at another port or at none."""
    caller.require_write()
    world, described = world_of(request), _collection(collection)
    record = _visible(world, described.kind, record_id, caller)
    changes = await read(request, described.key)
    if described.kind == "floatingip" and "port_id" in changes:
        changes |= networking.association(world, changes["port_id"])
    world.store.update(record, **changes)
    return answer({described.key: _render(world, described, record)})


@router.delete("/v2.0/{collection}/{record_id}")
async def delete(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Delete one, unless something still needs it."""
    caller.require_write()
    world, described = world_of(request), _collection(collection)
    record = _visible(world, described.kind, record_id, caller)
    _own_or_admin(caller, record.project_id)
    networking.delete(world, record)
    return empty()


def _collection(name: str) -> Collection:
    found = COLLECTIONS.get(name)
    if found is None:
        raise ApiFault(404, "The resource could not be found.", kind="HTTPNotFound")
    return found


async def _plain(request: Request) -> Body:
    """A body without an outer key."""
    body = await request.json()
    if not isinstance(body, dict):
        raise ApiFault(400, "A JSON object is expected.", kind="HTTPBadRequest")
    return body


def _own_or_admin(caller: Caller, project_id: str) -> None:
    if project_id != caller.project_id and not caller.is_admin:
        raise ApiFault(403, "Policy doesn't allow this action to be performed.", kind="PolicyNotAuthorized")


def _candidates(world: World, kind: str, request: Request, caller: Caller) -> list[Record]:
    """The records that can be in the answer, found by an index when the request filters by an indexed field."""
    for name in INDEXED.get(kind, ()):
        if wanted := request.query_params.getlist(name):
            return [r for value in wanted for r in world.store.find(kind, **{name: value})]
    if kind in {"network", "subnet"} or caller.is_admin:
        return world.store.list(kind)
    return world.store.list(kind, caller.project_id)


def _may_see(caller: Caller, record: Record) -> bool:
    own = record.project_id == caller.project_id or caller.is_admin
    return own or bool(record.get("shared")) or bool(record.get("router:external"))


def _visible(world: World, kind: str, record_id: str, caller: Caller) -> Record:
    record = world.store.get(kind, record_id)
    if record is None or not _may_see(caller, record):
        raise not_found(kind.replace("_", " "), record_id)
    return record


def _interface(record: Record) -> Body:
    attrs = record.attrs
    shown = {"id": attrs["router_id"], "port_id": record.id, "subnet_id": attrs["subnet_id"]}
    return shown | {"subnet_ids": [attrs["subnet_id"]], "network_id": attrs["network_id"]}


def _render(world: World, described: Collection, record: Record) -> Body:
    body = {**described.defaults, "name": "", **record.attrs}
    body = {k: v for k, v in body.items() if k not in _HIDDEN}
    body |= {"id": record.id, "project_id": record.project_id, "tenant_id": record.project_id}
    created = world.clock.iso(record.created_at)
    body |= {"created_at": created, "updated_at": created, "revision_number": 1}
    return body | _computed(world, record)


def _computed(world: World, record: Record) -> Body:
    """What follows from other records."""
    if record.kind == "network":
        return {"subnets": [s.id for s in world.store.find("subnet", network_id=record.id)]}
    if record.kind == "subnet":
        cidr = ipaddress.ip_network(record.attrs["cidr"])
        return {"allocation_pools": [{"start": str(cidr[2]), "end": str(cidr[-2])}]}
    if record.kind == "port":
        digest = hashlib.sha256(record.id.encode()).hexdigest()
        mac = "fa:16:3e:" + ":".join(digest[i : i + 2] for i in (0, 2, 4))
        return {"mac_address": mac, "status": "ACTIVE" if record.get("device_id") else "DOWN"}
    if record.kind == "floatingip":
        return {"status": "ACTIVE" if record.get("port_id") else "DOWN"}
    if record.kind == "security_group":
        rules = world.store.find("security_group_rule", security_group_id=record.id)
        described = COLLECTIONS["security-group-rules"]
        return {"security_group_rules": [_render(world, described, rule) for rule in rules]}
    return {}
