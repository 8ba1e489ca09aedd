"""Nova's door: discovery, and the things around servers."""

from __future__ import annotations

import base64
import hashlib

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.auth import caller as caller_of
from cloudsim.compute import actions, server_groups, servers, views
from cloudsim.compute.microversions import NEWEST, OLDEST, NovaRoute, microversion, text
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, next_link, read, select
from cloudsim.store import Record

router = APIRouter(prefix="/compute")
_v21 = APIRouter(prefix="/v2.1", route_class=NovaRoute)
_KEYPAIR_TYPES = (2, 2)
"""From this microversion on key pairs have a type, and their answers are 201 and 204 instead of 200 and 202."""


def _version(request: Request) -> Body:
    links = [{"rel": "self", "href": f"{base_url(request)}/compute/v2.1/"}]
    shown: Body = {"id": "v2.1", "status": "CURRENT", "version": text(NEWEST), "min_version": text(OLDEST)}
    return shown | {"updated": "2013-07-23T11:33:21Z", "links": links}


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are: the one that is served, and its forerunner."""
    links = [{"rel": "self", "href": f"{base_url(request)}/compute/v2/"}]
    old: Body = {"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": ""}
    return answer({"versions": [old | {"updated": "2011-01-21T11:33:21Z", "links": links}, _version(request)]})


@_v21.get("")
@_v21.get("/")
async def version(request: Request) -> Response:
    """The version that is served."""
    shown = _version(request)
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    return answer({"version": shown | {"links": [*shown["links"], described], "media-types": [media]}})


@_v21.get("/flavors", dependencies=[Depends(caller_of)])
async def flavors(request: Request) -> Response:
    """A short list of flavors."""
    base = base_url(request)
    found = world_of(request).store.list("flavor")
    brief: list[Body] = [
        {"id": f.id, "name": f.attrs["name"], "links": views.links(base, "flavors", f.id)} for f in found
    ]
    page = select(brief, request, ignore=frozenset({"is_public"}))
    return answer({"flavors": page} | next_link(request, "flavors", page))


@_v21.get("/flavors/detail", dependencies=[Depends(caller_of)])
async def flavor_details(request: Request) -> Response:
    """A full list of flavors."""
    version, base = microversion(request), base_url(request)
    bodies = [views.flavor(f, base, version) for f in world_of(request).store.list("flavor")]
    page = select(bodies, request, ignore=frozenset({"is_public"}))
    return answer({"flavors": page} | next_link(request, "flavors", page))


@_v21.get("/flavors/{flavor_id}", dependencies=[Depends(caller_of)])
async def flavor(request: Request, flavor_id: str) -> Response:
    """One flavor, by id only."""
    record = world_of(request).store.get("flavor", flavor_id)
    if record is None:
        raise ApiFault(404, f"Flavor {flavor_id} could not be found.")
    return answer({"flavor": views.flavor(record, base_url(request), microversion(request))})


def _keypair(record: Record, request: Request) -> Body:
    key = record.attrs["public_key"]
    shown: Body = {"name": record.attrs["name"], "public_key": key, "fingerprint": _fingerprint(key)}
    return shown | ({"type": "ssh"} if microversion(request) >= _KEYPAIR_TYPES else {})


def _fingerprint(public_key: str) -> str:
    """The MD5 form that Nova shows."""
    blob = base64.b64decode([*public_key.split(), "", ""][1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _owner(request: Request, caller: Caller) -> str:
    """Whose key pairs: one's own, or another user's for administrators."""
    user_id = request.query_params.get("user_id", caller.user_id)
    if user_id != caller.user_id:
        caller.require_admin()
    return user_id


def _find_keypair(request: Request, caller: Caller, name: str) -> Record:
    found = world_of(request).store.find("keypair", user_id=_owner(request, caller), name=name)
    if not found:
        raise ApiFault(404, f"Keypair {name} not found for user {_owner(request, caller)}")
    return found[0]


@_v21.get("/os-keypairs")
async def keypairs(request: Request, caller: ProjectCaller) -> Response:
    """A user's key pairs: they belong to users, not projects."""
    found = world_of(request).store.find("keypair", user_id=_owner(request, caller))
    return answer({"keypairs": [{"keypair": _keypair(k, request)} for k in found]})


@_v21.get("/os-keypairs/{name}")
async def keypair(request: Request, name: str, caller: ProjectCaller) -> Response:
    """One key pair by name."""
    found = _find_keypair(request, caller, name)
    number = 1 + world_of(request).store.list("keypair").index(found)
    facts = {"user_id": found.attrs["user_id"], "id": number, "deleted": False, "deleted_at": None, "updated_at": None}
    created = world_of(request).clock.iso(found.created_at).removesuffix("Z")
    return answer({"keypair": _keypair(found, request) | facts | {"created_at": f"{created}.000000"}})


@_v21.post("/os-keypairs")
async def import_keypair(request: Request, caller: ProjectCaller) -> Response:
    """Import a public key; none is generated here."""
    body = await read(request, "keypair")
    store = world_of(request).store
    name, key = str(body.get("name", "")), str(body.get("public_key", ""))
    if not name or not key.startswith(("ssh-", "ecdsa-")):
        raise ApiFault(400, "Keypair data is invalid: failed to generate fingerprint")
    if store.find("keypair", user_id=caller.user_id, name=name):
        raise ApiFault(409, f"Key pair '{name}' already exists.")
    attrs = {"name": name, "user_id": caller.user_id, "public_key": key}
    status = 201 if microversion(request) >= _KEYPAIR_TYPES else 200
    made = _keypair(store.create("keypair", "", attrs), request)
    return answer({"keypair": made | {"user_id": caller.user_id}}, status)


@_v21.delete("/os-keypairs/{name}")
async def delete_keypair(request: Request, name: str, caller: ProjectCaller) -> Response:
    """Delete a key pair by name."""
    world_of(request).store.delete("keypair", _find_keypair(request, caller, name).id)
    return empty() if microversion(request) >= _KEYPAIR_TYPES else Response(status_code=202)


@_v21.get("/limits")
async def limits(request: Request, caller: ProjectCaller) -> Response:
    """Limits and use of a project."""
    project = request.query_params.get("tenant_id", caller.project_id)
    if project != caller.project_id:
        caller.require_admin()
    quotas = world_of(request).quotas
    most, used = quotas.limits("compute", project), quotas.used("compute", project)
    absolute = {
        "maxTotalInstances": most["instances"],
        "maxTotalCores": most["cores"],
        "maxTotalRAMSize": most["ram"],
        "maxTotalKeypairs": most["key_pairs"],
        "maxServerGroups": most["server_groups"],
        "maxServerGroupMembers": most["server_group_members"],
        "maxServerMeta": most["metadata_items"],
        "maxImageMeta": most["metadata_items"],
        "maxPersonality": most["injected_files"],
        "maxPersonalitySize": most["injected_file_content_bytes"],
        "maxTotalFloatingIps": most["floating_ips"],
        "maxSecurityGroups": most["security_groups"],
        "maxSecurityGroupRules": most["security_group_rules"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
        "totalFloatingIpsUsed": 0,
        "totalSecurityGroupsUsed": 0,
    }
    return answer({"limits": {"rate": [], "absolute": absolute}})


@_v21.get("/os-availability-zone", dependencies=[Depends(caller_of)])
async def zones(request: Request) -> Response:
    """The zones of the settings, all in service."""
    found = world_of(request).settings.zones
    state = {"available": True}
    return answer({"availabilityZoneInfo": [{"zoneName": one, "zoneState": state, "hosts": None} for one in found]})


_v21.include_router(servers.router)
_v21.include_router(actions.router)
_v21.include_router(server_groups.router)
router.include_router(_v21)
