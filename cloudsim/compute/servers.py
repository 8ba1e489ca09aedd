"""Nova's servers: list, show, boot, delete, and what hangs on one."""

from __future__ import annotations

import base64
import binascii
import json
import re

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.compute import views
from cloudsim.compute.microversions import NovaRoute, microversion
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, next_link, read, select
from cloudsim.store import Record
from cloudsim.world import BlockDevice, ServerSpec, World

router = APIRouter(route_class=NovaRoute)
_POLICY = "os_compute_api:servers"
# Filters that are handled here and not by plain equality of a field of the body.
_OWN = frozenset({"name", "status", "metadata", "tags", "project_id", "tenant_id", "all_tenants", "deleted"})


@router.get("/servers")
async def index(request: Request, caller: ProjectCaller) -> Response:
    """A short list."""
    base = base_url(request)
    found = _listed(request, caller, "index")
    return answer({"servers": [views.brief(r, base) for r in found]} | next_link(request, "servers", found))


@router.get("/servers/detail")
async def detail(request: Request, caller: ProjectCaller) -> Response:
    """A full list."""
    world, version = world_of(request), microversion(request)
    base = base_url(request)
    found = _listed(request, caller, "detail")
    bodies = [views.server(world, r, base, version, admin=caller.is_admin) for r in found]
    return answer({"servers": bodies} | next_link(request, "servers", found))


@router.post("/servers")
async def boot(request: Request, caller: ProjectCaller) -> Response:
    """Boot a server; 202, and it is ACTIVE some time later."""
    caller.require_write(f"{_POLICY}:create")
    world = world_of(request)
    spec = _spec(world, await read(request, "server"), caller)
    try:
        record = world.boot_server(caller.project_id, spec)
    except KeyError as error:
        kind = "Port" if error.args[0] in spec.ports else "Network"
        raise ApiFault(400, f"{kind} {error.args[0]} could not be found.") from error
    links = views.links(base_url(request), "servers", record.id)
    made = {"id": record.id, "links": links, "OS-DCF:diskConfig": "MANUAL", "adminPass": "unused"}
    made["security_groups"] = [{"name": name} for name in spec.security_groups or ["default"]]
    return answer({"server": made}, 202, {"Location": links[0]["href"]})


@router.get("/servers/{server_id}")
async def show(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """One server."""
    world = world_of(request)
    record = visible(world, server_id, caller)
    body = views.server(world, record, base_url(request), microversion(request), admin=caller.is_admin)
    return answer({"server": body})


@router.delete("/servers/{server_id}")
async def delete(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """Start deleting a server; it is gone some time later."""
    caller.require_write(f"{_POLICY}:delete")
    world = world_of(request)
    record = visible(world, server_id, caller)
    if record.get("task_state") != "deleting":
        world.store.update(record, task_state="deleting")
        world.clock.call_later(world.settings.delete_seconds, lambda: world.delete_server(server_id))
    return empty()


@router.get("/servers/{server_id}/os-interface")
async def interfaces(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """The ports of a server."""
    world = world_of(request)
    visible(world, server_id, caller)
    found = [
        {"port_id": p.id, "net_id": p.attrs["network_id"], "fixed_ips": p.get("fixed_ips", []), "port_state": "ACTIVE"}
        | {"mac_addr": views.mac(p)}
        for p in world.store.find("port", device_id=server_id)
    ]
    return answer({"interfaceAttachments": found})


@router.get("/servers/{server_id}/os-volume_attachments")
async def attachments(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """The volumes of a server."""
    world = world_of(request)
    visible(world, server_id, caller)
    found = world.store.find("volume_attachment", server_id=server_id)
    return answer({"volumeAttachments": [_attachment(a) for a in found]})


@router.post("/servers/{server_id}/os-volume_attachments")
async def attach(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """Attach a volume."""
    caller.require_write()
    world = world_of(request)
    visible(world, server_id, caller)
    wanted = await read(request, "volumeAttachment")
    device = wanted.get("device") or "/dev/vdb"
    try:
        made = world.attach_volume(caller.project_id, server_id, str(wanted.get("volumeId")), device)
    except KeyError as error:
        raise ApiFault(404, f"Volume {error.args[0]} could not be found.") from error
    return answer({"volumeAttachment": _attachment(made)})


@router.delete("/servers/{server_id}/os-volume_attachments/{volume_id}")
async def detach(request: Request, server_id: str, volume_id: str, caller: ProjectCaller) -> Response:
    """Detach a volume."""
    caller.require_write()
    world = world_of(request)
    visible(world, server_id, caller)
    found = world.store.find("volume_attachment", server_id=server_id, volume_id=volume_id)
    if not found:
        raise ApiFault(404, f"volume_id not found: {volume_id}")
    world.detach_volume(found[0])
    return empty(202)


def visible(world: World, server_id: str, caller: Caller) -> Record:
    """The caller's server, or any for administrators. Raises ApiFault 404."""
    record = world.store.get("server", server_id)
    if record is None or not (record.project_id == caller.project_id or caller.is_admin):
        raise ApiFault(404, f"Instance {server_id} could not be found.")
    return record


def _attachment(record: Record) -> Body:
    attrs = record.attrs
    shown: Body = {"id": attrs["volume_id"], "volumeId": attrs["volume_id"], "attachment_id": record.id}
    return shown | {"serverId": attrs["server_id"], "device": attrs["device"]}


def _listed(request: Request, caller: Caller, call: str) -> list[Record]:
    """The servers that the query asks for. Names are matched as Nova does: as a regular expression, anywhere."""
    params = request.query_params
    store = world_of(request).store
    everywhere = params.get("all_tenants", "0").lower() in {"1", "true"}
    if everywhere and not caller.is_admin:
        raise ApiFault(403, f"Policy doesn't allow {_POLICY}:{call}:get_all_tenants to be performed.")
    project = params.get("project_id") or params.get("tenant_id") if everywhere else caller.project_id
    records = [r for r in store.list("server", project) if _wanted(r, request)]
    if (marker := params.get("marker")) and marker not in {r.id for r in records}:
        raise ApiFault(400, f"marker [{marker}] not found")
    if params.get("sort_key") == "display_name":
        records.sort(key=lambda one: str(one.get("name")), reverse=params.get("sort_dir", "desc") == "desc")
    kept = select([{"id": r.id, **r.attrs} for r in records], request, ignore=_OWN)
    by_id = {r.id: r for r in records}
    return [by_id[body["id"]] for body in kept]


def _wanted(record: Record, request: Request) -> bool:
    params = request.query_params
    try:
        named = re.search(params.get("name", ""), record.attrs["name"]) is not None
        metadata = json.loads(params.get("metadata", "{}"))
    except re.error as error:
        name = params["name"]
        message = f"Invalid input for query parameters name. Value: {name}. '{name}' is not a 'regex'"
        raise ApiFault(400, message) from error
    except ValueError as error:
        raise ApiFault(400, f"Invalid filter: {error}") from error
    tags = set(filter(None, params.get("tags", "").split(",")))
    return (
        named
        and params.get("status", record.attrs["status"]).upper() == record.attrs["status"]
        and tags <= set(record.get("tags") or ())
        and metadata.items() <= (record.get("metadata") or {}).items()
    )


def _spec(world: World, body: Body, caller: Caller) -> ServerSpec:
    """What to boot, checked as Nova checks before it says 202."""
    flavor, image = str(body.get("flavorRef", "")), str(body.get("imageRef") or "")
    if not body.get("name") or world.store.get("flavor", flavor.rsplit("/", 1)[-1]) is None:
        raise ApiFault(400, f"Flavor {flavor} could not be found.")
    if image and world.store.get("image", image) is None:
        raise ApiFault(400, "Can not find requested image")
    key = body.get("key_name")
    if key and not world.store.find("keypair", user_id=caller.user_id, name=key):
        raise ApiFault(400, "Invalid key_name provided.")
    networks = body.get("networks") if isinstance(body.get("networks"), list) else []
    try:
        user_data = base64.b64decode(body["user_data"]) if body.get("user_data") else None
    except binascii.Error as error:
        data = body["user_data"]
        message = f"Invalid input for field/attribute user_data. Value: {data}. '{data}' is not a 'base64'"
        raise ApiFault(400, message) from error
    return ServerSpec(
        name=body["name"],
        flavor=flavor.rsplit("/", 1)[-1],
        image=_image_of(body, image),
        user_id=caller.user_id,
        key_name=key,
        ports=[n["port"] for n in networks or () if "port" in n],
        networks=[n["uuid"] for n in networks or () if "uuid" in n and "port" not in n],
        user_data=user_data,
        metadata=body.get("metadata") or {},
        tags=body.get("tags") or [],
        security_groups=[g["name"] for g in body.get("security_groups") or ()],
        group=(body.get("os:scheduler_hints") or {}).get("group"),
        availability_zone=body.get("availability_zone"),
        block_devices=[_device(one) for one in body.get("block_device_mapping_v2") or () if _is_volume(one)],
    )


def _image_of(body: Body, reference: str) -> str | None:
    """The image that the server shows: none when it boots from a volume."""
    devices = [_device(one) for one in body.get("block_device_mapping_v2") or () if _is_volume(one)]
    return None if not reference or any(device.boots for device in devices) else reference


def _is_volume(mapping: Body) -> bool:
    """Whether an entry is a volume: swap, ephemeral disks and the image's own copy on the host cannot be seen."""
    return mapping.get("destination_type", "volume") == "volume" and mapping.get("source_type") in {"volume", "image"}


def _device(mapping: Body) -> BlockDevice:
    reference = str(mapping.get("uuid") or "")
    from_image = mapping["source_type"] == "image"
    return BlockDevice(
        volume=None if from_image else reference,
        image=reference if from_image else None,
        size=int(mapping.get("volume_size") or 0),
        volume_type=mapping.get("volume_type"),
        boots=mapping.get("boot_index") in (0, "0"),
        dies_with_server=bool(mapping.get("delete_on_termination", False)),
        device=mapping.get("device_name"),
    )
