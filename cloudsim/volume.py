"""Cinder v3: volumes, volume types, limits. Quota sets are in `quota_routes`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, announcing, answer, as_text, base_url, empty, next_link, read, select
from cloudsim.store import Record
from cloudsim.world import World

router = APIRouter(prefix="/volume", route_class=announcing("volume 3.0"))
_FREE = frozenset({"available", "error", "error_restoring", "error_extending"})


async def project_caller(project_id: str, caller: ProjectCaller) -> Caller:
    """The caller, whose token must be for the project in the path (administrators are let through)."""
    if project_id != caller.project_id and not caller.is_admin:
        raise ApiFault(400, "Malformed request url")
    return caller


Member = Annotated[Caller, Depends(project_caller)]


def _version(request: Request) -> Body:
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    shown: Body = {"id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0"}
    media = {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}
    shown |= {"updated": "2023-08-31T00:00:00Z", "media-types": [media]}
    return shown | {"links": [described, {"rel": "self", "href": f"{base_url(request)}/volume/v3/"}]}


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    return answer({"versions": [_version(request)]}, 300)


@router.get("/v3")
@router.get("/v3/")
async def version(request: Request) -> Response:
    """The one version there is."""
    return answer({"versions": [_version(request)]})


@router.get("/v3/{project_id}/volumes")
async def volumes(request: Request, caller: Member) -> Response:
    """A short list."""
    page = [{k: b[k] for k in ("id", "name", "links")} for b in _listed(request, caller)]
    return answer({"volumes": page} | next_link(request, "volumes", page))


@router.get("/v3/{project_id}/volumes/detail")
async def volume_details(request: Request, caller: Member) -> Response:
    """A full list."""
    page = _listed(request, caller)
    return answer({"volumes": page} | next_link(request, "volumes", page))


@router.post("/v3/{project_id}/volumes")
async def create(request: Request, project_id: str, caller: Member) -> Response:
    """Make a volume; it is available at once, but as in Cinder the answer says that it is being made."""
    caller.require_write("volume:create")
    body = await read(request, "volume")
    if not str(body.get("size", "")).isdigit() or int(body["size"]) < 1:
        size = body.get("size")
        message = f"Invalid input for field/attribute size. Value: {size}. {size} is less than the minimum of 1"
        raise ApiFault(400, message)
    world = world_of(request)
    kind = body.get("volume_type") or "lvmdriver-1"
    if not any(kind in (t.id, t.attrs["name"]) for t in world.store.list("volume_type")):
        raise ApiFault(404, f"Volume type with name {kind} could not be found.")
    attrs = {"name": body.get("name") or "", "size": int(body["size"]), "status": "available", "volume_type": kind}
    attrs |= {"metadata": body.get("metadata") or {}, "user_id": caller.user_id, "image": body.get("imageRef")}
    record = world.create_volume(project_id, attrs)
    shown = _volume(world, record, base_url(request)) | {"status": "creating", "updated_at": None}
    del shown["os-vol-tenant-attr:tenant_id"]
    return answer({"volume": shown}, 202)


@router.get("/v3/{project_id}/volumes/{volume_id}")
async def show(request: Request, volume_id: str, caller: Member) -> Response:
    """One volume."""
    world = world_of(request)
    return answer({"volume": _volume(world, _visible(world, volume_id, caller), base_url(request))})


@router.delete("/v3/{project_id}/volumes/{volume_id}")
async def delete(request: Request, volume_id: str, caller: Member) -> Response:
    """Delete a volume that is not in use."""
    world = world_of(request)
    record = _visible(world, volume_id, caller)
    caller.require_write("volume:delete")
    attached = world.store.find("volume_attachment", volume_id=volume_id)
    if attached or record.get("status", "available") not in _FREE:
        message = "Invalid volume: Volume status must be available or error or error_restoring or error_extending."
        raise ApiFault(400, message)
    world.store.delete("volume", volume_id)
    return empty(202)


@router.get("/v3/{project_id}/types", dependencies=[Depends(project_caller)])
async def types(request: Request) -> Response:
    """The volume types."""
    bodies = [_type(t) for t in world_of(request).store.list("volume_type")]
    page = select(bodies, request)
    return answer({"volume_types": page} | next_link(request, "volume_type", page))


@router.get("/v3/{project_id}/types/{type_id}", dependencies=[Depends(project_caller)])
async def volume_type(request: Request, type_id: str) -> Response:
    """One volume type; `default` is the first."""
    found = world_of(request).store.list("volume_type")
    match = found[0] if type_id == "default" else next((t for t in found if t.id == type_id), None)
    if match is None:
        raise ApiFault(404, f"Volume type {type_id} could not be found.")
    shown = _type(match)
    del shown["os-volume-type-access:is_public"]
    return answer({"volume_type": shown})


@router.get("/v3/{project_id}/limits")
async def limits(request: Request, project_id: str, caller: Member) -> Response:
    """Limits and use of a project."""
    quotas = world_of(request).quotas
    most, used = quotas.limits("volume", project_id), quotas.used("volume", project_id)
    absolute = {
        "maxTotalVolumes": most["volumes"],
        "maxTotalVolumeGigabytes": most["gigabytes"],
        "maxTotalSnapshots": most["snapshots"],
        "totalVolumesUsed": used["volumes"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalSnapshotsUsed": used["snapshots"],
        "maxTotalBackups": most["backups"],
        "maxTotalBackupGigabytes": most["backup_gigabytes"],
        "totalBackupsUsed": used["backups"],
        "totalBackupGigabytesUsed": used["backup_gigabytes"],
    }
    return answer({"limits": {"rate": [], "absolute": absolute}})


def _listed(request: Request, caller: Caller) -> list[Body]:
    everywhere = request.query_params.get("all_tenants", "0").lower() in {"1", "true"} and caller.is_admin
    world = world_of(request)
    found = world.store.list("volume", None if everywhere else request.path_params["project_id"])
    base, sort = base_url(request), request.query_params.get("sort", "")
    key, _, way = sort.partition(":")
    bodies = [_volume(world, record, base) for record in found]
    if key:
        bodies.sort(key=lambda one: as_text(one.get(key)), reverse=way != "asc")
    return select(bodies, request)


def _visible(world: World, volume_id: str, caller: Caller) -> Record:
    record = world.store.get("volume", volume_id)
    if record is None or not (record.project_id == caller.project_id or caller.is_admin):
        raise ApiFault(404, f"Volume {volume_id} could not be found.")
    return record


def _volume(world: World, record: Record, base: str) -> Body:
    found = world.store.find("volume_attachment", volume_id=record.id)
    attached = [{"id": record.id, "attachment_id": a.id, "volume_id": record.id, **_attachment(a)} for a in found]
    body: Body = {"name": "", "description": None, "metadata": {}, "availability_zone": "nova", "bootable": "false"}
    body |= {"status": "available", "volume_type": "lvmdriver-1", "encrypted": False, "multiattach": False}
    body |= dict.fromkeys(("snapshot_id", "source_volid", "replication_status", "consistencygroup_id"))
    body |= {name: value for name, value in record.attrs.items() if name != "image"}
    body |= {"id": record.id, "attachments": attached, "os-vol-tenant-attr:tenant_id": record.project_id}
    made = world.clock.iso(record.created_at).removesuffix("Z") + ".000000"
    where = f"{record.project_id}/volumes/{record.id}"
    links = [
        {"rel": "self", "href": f"{base}/volume/v3/{where}"},
        {"rel": "bookmark", "href": f"{base}/volume/{where}"},
    ]
    return body | {"created_at": made, "updated_at": made, "links": links}


def _attachment(record: Record) -> Body:
    return {name: record.attrs[name] for name in ("server_id", "volume_id", "device")}


def _type(record: Record) -> Body:
    return {"id": record.id, "os-volume-type-access:is_public": True, **record.attrs}
