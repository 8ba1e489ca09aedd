"""Neutron v2.0: one pair of generic routes for every collection, and the few that are not generic.

Quotas are in `quota_routes`.
"""

from __future__ import annotations

import hashlib
import ipaddress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim import networking
from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.auth import caller as caller_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, as_text, base_url, empty, read, select
from cloudsim.store import INDEXED, Record
from cloudsim.world import World

router = APIRouter(prefix="/network")


class Collection(NamedTuple):
    """One collection: the record kind behind it, the key of a single body, and what a body holds when nobody set it."""

    kind: str
    key: str
    defaults: dict[str, Any]


_UP = {"status": "ACTIVE", "admin_state_up": True, "description": "", "tags": []}
_ZONES: Body = {"availability_zone_hints": [], "availability_zones": []}
COLLECTIONS = {
    "networks": Collection(
        "network",
        "network",
        _UP
        | _ZONES
        | {"shared": False, "router:external": False, "mtu": 1450, "port_security_enabled": True, "qinq": False}
        | {"vlan_transparent": False, "ipv4_address_scope": None, "ipv6_address_scope": None},
    ),
    "subnets": Collection(
        "subnet",
        "subnet",
        {"ip_version": 4, "enable_dhcp": True, "dns_nameservers": [], "host_routes": [], "description": "", "tags": []}
        | {"subnetpool_id": None, "ipv6_ra_mode": None, "ipv6_address_mode": None, "service_types": []},
    ),
    "ports": Collection(
        "port",
        "port",
        _UP
        | {"device_id": "", "device_owner": "", "security_groups": [], "allowed_address_pairs": [], "fixed_ips": []}
        | {"binding:vnic_type": "normal", "extra_dhcp_opts": []},
    ),
    "routers": Collection(
        "router", "router", _UP | _ZONES | {"external_gateway_info": None, "routes": [], "flavor_id": None}
    ),
    "floatingips": Collection(
        "floatingip",
        "floatingip",
        {"status": "DOWN", "port_id": None, "fixed_ip_address": None, "router_id": None, "description": "", "tags": []},
    ),
    "security-groups": Collection(
        "security_group", "security_group", {"description": "", "stateful": True, "shared": False, "tags": []}
    ),
    "security-group-rules": Collection(
        "security_group_rule",
        "security_group_rule",
        dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
        | {"direction": "ingress", "ethertype": "IPv4", "description": "", "remote_address_group_id": None}
        | {"belongs_to_default_sg": False},
    ),
}
_NAMELESS = frozenset({"floatingip", "security_group_rule"})
_ADMINS = ("router:external", "shared")
_SETTABLE = {
    "network": frozenset({"name", "is_default", "dns_domain", "segments", *_ADMINS}),
    "subnet": frozenset({"name", "network_id", "cidr", "gateway_ip", "allocation_pools", "prefixlen"}),
    "port": frozenset({"name", "network_id", "mac_address", "port_security_enabled", "dns_name", "qos_policy_id"}),
    "router": frozenset({"name", "ha", "distributed"}),
    "floatingip": frozenset({"floating_network_id", "floating_ip_address", "subnet_id"}),
    "security_group": frozenset({"name"}),
    "security_group_rule": frozenset({"security_group_id"}),
}
"""What requests may set beside the defaults above."""
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
    facts = {"description": "", "updated": "2015-01-01T00:00:00-00:00", "links": []}
    return answer({"extensions": [{"alias": alias, "name": alias} | facts for alias in _EXTENSIONS]})


@router.put("/v2.0/routers/{router_id}/add_router_interface")
async def add_interface(request: Request, router_id: str, caller: ProjectCaller) -> Response:
    """Put a router on a subnet."""
    _may_write(caller, "add_router_interface")
    world = world_of(request)
    found = _visible(world, "router", router_id, caller)
    body = await _plain(request)
    return answer(_interface(networking.add_router_interface(world, found, str(body.get("subnet_id", "")))))


@router.put("/v2.0/routers/{router_id}/remove_router_interface")
async def remove_interface(request: Request, router_id: str, caller: ProjectCaller) -> Response:
    """Take a router off a subnet."""
    _may_write(caller, "remove_router_interface")
    world = world_of(request)
    found = _visible(world, "router", router_id, caller)
    body = await _plain(request)
    subnet_id, port_id = str(body.get("subnet_id", "")), str(body.get("port_id", ""))
    return answer(_interface(networking.remove_router_interface(world, found, subnet_id=subnet_id, port_id=port_id)))


@router.put("/v2.0/{collection}/{record_id}/tags")
async def set_tags(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Replace all tags of anything."""
    _may_write(caller, f"update_{collection}_tags")
    world = world_of(request)
    record = _visible(world, _collection(collection).kind, record_id, caller)
    tags = (await _plain(request)).get("tags", [])
    world.store.update(record, tags=tags)
    return answer({"tags": tags})


@router.get("/v2.0/{collection}")
async def index(request: Request, collection: str, caller: ProjectCaller) -> Response:
    """List a collection: one's own, what is shared, and everything for administrators."""
    world, described = world_of(request), _collection(collection)
    if described.kind == "security_group":
        networking.default_group(world, caller.project_id)
    records = [r for r in _candidates(world, described.kind, request, caller) if _may_see(caller, r)]
    bodies = [_render(world, described, r) for r in records]
    keys, ways = (request.query_params.getlist(name) for name in ("sort_key", "sort_dir"))
    for key, way in reversed([*zip(keys, ways, strict=False)]):
        bodies.sort(key=partial(_text_of, key), reverse=way == "desc")
    page, name = select(bodies, request), collection.replace("-", "_")
    return answer({name: page} | _page_links(request, name, page))


@router.post("/v2.0/{collection}")
async def create(request: Request, collection: str, caller: ProjectCaller) -> Response:
    """Create anything of which there is a collection."""
    world, described = world_of(request), _collection(collection)
    attrs = await read(request, described.key)
    _check_attributes(described, attrs, caller)
    _may_write(caller, f"create_{described.kind}")
    project_id = str(attrs.pop("tenant_id", None) or attrs.pop("project_id", None) or caller.project_id)
    _own_or_admin(caller, project_id)
    record = networking.CREATE[described.kind](world, project_id, attrs)
    more = {"is_default": False} if described.kind == "network" else {}
    return answer({described.key: _render(world, described, record) | more}, 201)


@router.get("/v2.0/{collection}/{record_id}")
async def show(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Show one."""
    world, described = world_of(request), _collection(collection)
    return answer({described.key: _render(world, described, _visible(world, described.kind, record_id, caller))})


@router.put("/v2.0/{collection}/{record_id}")
async def update(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Change attributes of one; a floating address is pointed at another port or at none."""
    world, described = world_of(request), _collection(collection)
    record = _visible(world, described.kind, record_id, caller)
    _may_write(caller, f"update_{described.kind}")
    changes = await read(request, described.key)
    if described.kind == "floatingip" and "port_id" in changes:
        changes |= networking.association(world, changes["port_id"], record.attrs["floating_network_id"])
    world.store.update(record, **changes)
    return answer({described.key: _render(world, described, record)})


@router.delete("/v2.0/{collection}/{record_id}")
async def delete(request: Request, collection: str, record_id: str, caller: ProjectCaller) -> Response:
    """Delete one, unless something still needs it."""
    world, described = world_of(request), _collection(collection)
    record = _visible(world, described.kind, record_id, caller)
    _may_write(caller, f"delete_{described.kind}")
    _own_or_admin(caller, record.project_id)
    networking.delete(world, record)
    return empty()


def _collection(name: str) -> Collection:
    found = COLLECTIONS.get(name)
    if found is None:
        raise ApiFault(404, "The resource could not be found.", kind="HTTPNotFound")
    return found


def _may_write(caller: Caller, rule: str) -> None:
    """403 in Neutron's words for callers who may only read."""
    if not caller.roles & {"member", "admin"}:
        raise ApiFault(403, f"rule:{rule} is disallowed by policy", kind="PolicyNotAuthorized")


def _check_attributes(described: Collection, attrs: Body, caller: Caller) -> None:
    """400 for attributes that there are not, 403 for those that only administrators set."""
    owner = {"tenant_id", "project_id"}
    known = described.defaults.keys() | _SETTABLE[described.kind] | owner
    unknown = ", ".join(
        sorted(name for name in attrs if name not in known and not name.startswith(("provider:", "binding:")))
    )
    if unknown:
        raise ApiFault(400, f"Unrecognized attribute(s) '{unknown}'", kind="HTTPBadRequest")
    for name in _ADMINS:
        if described.kind == "network" and attrs.get(name) and not caller.is_admin:
            rules = f"(rule:create_network and rule:create_network:{name})"
            raise ApiFault(403, f"{rules} is disallowed by policy", kind="PolicyNotAuthorized")


def _text_of(key: str, body: Body) -> str:
    return as_text(body.get(key))


def _page_links(request: Request, name: str, page: list[Body]) -> Body:
    """The links to the pages before and behind, which a list has that was asked for with a limit."""
    query = [(key, value) for key, value in request.query_params.multi_items() if key not in {"marker", "page_reverse"}]
    limit = request.query_params.get("limit", "")
    if not limit.isdigit():
        return {}

    def link(rel: str, *more: tuple[str, str]) -> Body:
        return {"rel": rel, "href": f"{base_url(request)}{request.url.path}?{urlencode([*query, *more])}"}

    back = ("page_reverse", "True")
    if not page:
        return {f"{name}_links": [link("previous", back)]}
    links = [link("next", ("marker", page[-1]["id"]))] if len(page) == int(limit) else []
    return {f"{name}_links": [*links, link("previous", ("marker", page[0]["id"]), back)]}


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
        raise networking.missing(kind, record_id)
    return record


def _interface(record: Record) -> Body:
    attrs = record.attrs
    shown = {"id": attrs["router_id"], "port_id": record.id, "subnet_id": attrs["subnet_id"]}
    shown["project_id"] = record.project_id
    return shown | {"subnet_ids": [attrs["subnet_id"]], "network_id": attrs["network_id"]}


def _render(world: World, described: Collection, record: Record) -> Body:
    body = {**described.defaults, **({} if record.kind in _NAMELESS else {"name": ""}), **record.attrs}
    body = {k: v for k, v in body.items() if k not in _HIDDEN}
    body |= {"id": record.id, "project_id": record.project_id, "tenant_id": record.project_id}
    created = world.clock.iso(record.created_at)
    body |= {"created_at": created, "updated_at": created, "revision_number": 1}
    return body | _computed(world, record)


def _computed(world: World, record: Record) -> Body:
    """What follows from other records."""
    if record.kind == "network":
        default = {"is_default": False} if record.get("router:external") else {}
        return {"subnets": [s.id for s in world.store.find("subnet", network_id=record.id)]} | default
    if record.kind == "subnet":
        cidr = ipaddress.ip_network(record.attrs["cidr"])
        network = world.store.get("network", record.attrs["network_id"])
        external = bool(network and network.get("router:external"))
        return {"allocation_pools": [{"start": str(cidr[2]), "end": str(cidr[-2])}], "router:external": external}
    if record.kind == "port":
        secured = record.get("port_security_enabled", not str(record.get("device_owner", "")).startswith("network:"))
        state = {"mac_address": _mac(record), "status": "ACTIVE" if record.get("device_id") else "DOWN"}
        return state | {"port_security_enabled": secured}
    if record.kind == "floatingip":
        port = world.store.get("port", record.get("port_id") or "")
        return {"status": "DOWN" if port is None else "ACTIVE", "port_details": None if port is None else _brief(port)}
    if record.kind == "security_group_rule":
        return {"normalized_cidr": record.get("remote_ip_prefix")}
    if record.kind == "security_group":
        rules = world.store.find("security_group_rule", security_group_id=record.id)
        described = COLLECTIONS["security-group-rules"]
        inner = ({"tags": [], "standard_attr_id": number} for number, _ in enumerate(rules))
        return {"security_group_rules": [_render(world, described, rule) | next(inner) for rule in rules]}
    return {}


def _mac(port: Record) -> str:
    digest = hashlib.sha256(port.id.encode()).hexdigest()
    return "fa:16:3e:" + ":".join(digest[i : i + 2] for i in (0, 2, 4))


def _brief(port: Record) -> Body:
    """A port as its floating address shows it."""
    shown = {name: port.get(name) or "" for name in ("name", "network_id", "device_id", "device_owner")}
    status = "ACTIVE" if port.get("device_id") else "DOWN"
    return shown | {"mac_address": _mac(port), "admin_state_up": True, "status": status}
