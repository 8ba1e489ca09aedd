"""Nova's door: discovery, and the things around servers."""

from __future__ import annotations

import base64
import hashlib

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.auth import caller as caller_of
from cloudsim.compute import server_groups, servers, views
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, read, select
from cloudsim.store import Record

router = APIRouter(prefix="/compute")
_KEYPAIR_TYPES = (2, 2)
"""From this microversion on key pairs have a type, and their answers are 201 and 204 instead of 200 and 202."""


def _version(request: Request) -> Body:
    links = [{"rel": "self", "href": f"{base_url(request)}/compute/v2.1/"}]
    shown: Body = {"id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1", "links": links}
    return shown | {"updated": "2013-07-23T11:33:21Z"}


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are."""
    return answer({"versions": [_version(request)]})


@router.get("/v2.1")
@router.get("/v2.1/")
async def version(request: Request) -> Response:
    """The one version there is."""
    return answer({"version": _version(request)})


@router.get("/v2.1/flavors", dependencies=[Depends(caller_of)])
async def flavors(request: Request) -> Response:
    """A short list of flavors."""
    base = base_url(request)
    found = world_of(request).store.list("flavor")
    brief: list[Body] = [
        {"id": f.id, "name": f.attrs["name"], "links": views.links(base, "flavors", f.id)} for f in found
    ]
    return answer({"flavors": select(brief, request, ignore=frozenset({"is_public"}))})


@router.get("/v2.1/flavors/detail", dependencies=[Depends(caller_of)])
async def flavor_details(request: Request) -> Response:
    """A full list of flavors."""
    bodies = [views.flavor(f, base_url(request)) for f in world_of(request).store.list("flavor")]
    return answer({"flavors": select(bodies, request, ignore=frozenset({"is_public"}))})


@router.get("/v2.1/flavors/{flavor_id}", dependencies=[Depends(caller_of)])
async def flavor(request: Request, flavor_id: str) -> Response:
    """One flavor, by id only."""
    record = world_of(request).store.get("flavor", flavor_id)
    if record is None:
        raise ApiFault(404, f"Flavor {flavor_id} could not be found.")
    return answer({"flavor": views.flavor(record, base_url(request))})


def _keypair(record: Record, request: Request) -> Body:
    key = record.attrs["public_key"]
    shown: Body = {"name": record.attrs["name"], "public_key": key, "fingerprint": _fingerprint(key)}
    kind = {"type": "ssh"} if servers.microversion(request) >= _KEYPAIR_TYPES else {}
    return shown | {"user_id": record.attrs["user_id"]} | kind


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


@router.get("/v2.1/os-keypairs")
async def keypairs(request: Request, caller: ProjectCaller) -> Response:
    """A user's key pairs: they belong to users, not projects."""
    found = world_of(request).store.find("keypair", user_id=_owner(request, caller))
    return answer({"keypairs": [{"keypair": _keypair(k, request)} for k in found]})


@router.get("/v2.1/os-keypairs/{name}")
async def keypair(request: Request, name: str, caller: ProjectCaller) -> Response:
    """One key pair by name."""
    return answer({"keypair": _keypair(_find_keypair(request, caller, name), request)})


@router.post("/v2.1/os-keypairs")
async def import_keypair(request: Request, caller: ProjectCaller) -> Response:
    """Import a public key; none is generated here."""
    body = await read(request, "keypair")
    store = world_of(request).store
    name, key = str(body.get("name", "")), str(body.get("public_key", ""))
    if not name or not key.startswith(("ssh-", "ecdsa-")):
        raise ApiFault(400, "Keypair data is invalid: a name and a public key in OpenSSH form are needed.")
    if store.find("keypair", user_id=caller.user_id, name=name):
        raise ApiFault(409, f"Key pair '{name}' already exists.")
    attrs = {"name": name, "user_id": caller.user_id, "public_key": key}
    status = 201 if servers.microversion(request) >= _KEYPAIR_TYPES else 200
    return answer({"keypair": _keypair(store.create("keypair", "", attrs), request)}, status)


@router.delete("/v2.1/os-keypairs/{name}")
async def delete_keypair(request: Request, name: str, caller: ProjectCaller) -> Response:
    """Delete a key pair by name."""
    world_of(request).store.delete("keypair", _find_keypair(request, caller, name).id)
    return empty() if servers.microversion(request) >= _KEYPAIR_TYPES else Response(status_code=202)


@router.get("/v2.1/limits")
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
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
    }
    return answer({"limits": {"rate": [], "absolute": absolute}})


@router.get("/v2.1/os-availability-zone", dependencies=[Depends(caller_of)])
async def zones(request: Request) -> Response:
    """The zones of the settings, all in service."""
    found = world_of(request).settings.zones
    state = {"available": True}
    return answer({"availabilityZoneInfo": [{"zoneName": one, "zoneState": state, "hosts": None} for one in found]})


router.include_router(servers.router, prefix="/v2.1")
router.include_router(server_groups.router, prefix="/v2.1")
