"""Glance v2: images. Of what is uploaded the size is kept, nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, caller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, select
from cloudsim.store import Record
from cloudsim.world import World

router = APIRouter(prefix="/image")
Member = Annotated[Caller, Depends(caller)]
_MADE: Final = frozenset({"id", "status", "size", "checksum", "owner", "created_at", "updated_at", "self", "file"})
"""What nobody can say of an image."""


@router.get("")
@router.get("/")
@router.get("/versions")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    links = [{"rel": "self", "href": f"{base_url(request)}/image/v2/"}]
    return answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]}, 300)


@router.get("/v2/images")
async def images(request: Request, member: Member) -> Response:
    """A list; any property can be filtered by."""
    world = world_of(request)
    bodies = [_image(world, record) for record in world.store.list("image") if _sees(member, record)]
    marker = request.query_params.get("marker")
    if marker and marker not in {one["id"] for one in bodies}:
        raise ApiFault(400, f"No image found with ID {marker}")
    shown = select(bodies, request, ignore=frozenset({"member_status", "os_hidden"}))
    return answer({"images": shown, "schema": "/v2/schemas/images"} | _links(request, shown))


def _links(request: Request, page: list[Body]) -> Body:
    """Where the list begins and goes on, as paths."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "marker"]
    first = f"/v2/images?{urlencode(query)}" if query else "/v2/images"
    limit = request.query_params.get("limit", "")
    if not page or not limit.isdigit() or len(page) != int(limit):
        return {"first": first}
    return {"first": first, "next": f"/v2/images?{urlencode([*query, ('marker', page[-1]['id'])])}"}


@router.get("/v2/images/{image_id}")
async def image(request: Request, image_id: str, member: Member) -> Response:
    """One image, by id only; its properties stand beside its fields, without an outer key."""
    return answer(_image(world_of(request), _found(request, member, image_id)))


@router.post("/v2/images")
async def create(request: Request, member: Member) -> Response:
    """An image without data yet: queued."""
    world, body = world_of(request), await request.json()
    attrs: Body = {"visibility": "shared", "size": None, "checksum": None, **body, "status": "queued"}
    record = world.store.create("image", member.project_id, {k: v for k, v in attrs.items() if k != "id"})
    return answer(_image(world, record), 201)


@router.put("/v2/images/{image_id}/file")
async def upload(request: Request, image_id: str, member: Member) -> Response:
    """The data: from now on servers can boot from it."""
    record, size, digest = _found(request, member, image_id), 0, hashlib.md5(usedforsecurity=False)
    if record.get("status") != "queued":
        raise ApiFault(409, f"Image status transition from {record.get('status', 'active')} to saving is not allowed")
    async for part in request.stream():
        size += len(part)
        digest.update(part)
    world_of(request).store.update(record, status="active", size=size, checksum=digest.hexdigest())
    return empty()


@router.patch("/v2/images/{image_id}")
async def patch(request: Request, image_id: str, member: Member) -> Response:
    """Properties, by the owner only; a JSON patch of simple paths."""
    record = _own(request, member, image_id)
    changes: Body = {}
    for one in json.loads(await request.body()):
        name = str(one["path"]).removeprefix("/").replace("~1", "/").replace("~0", "~")
        if name in _MADE:
            raise ApiFault(403, f"Attribute '{name}' is read-only.")
        changes[name] = one.get("value")
    record = world_of(request).store.update(record, **changes)
    return answer(_image(world_of(request), record))


@router.delete("/v2/images/{image_id}")
async def delete(request: Request, image_id: str, member: Member) -> Response:
    """Gone at once."""
    record = _own(request, member, image_id)
    world_of(request).store.delete("image", record.id)
    return empty()


def _sees(member: Caller, record: Record) -> bool:
    return member.is_admin or record.get("visibility") in ("public", "community") or _owns(member, record)


def _owns(member: Caller, record: Record) -> bool:
    return record.project_id == member.project_id


def _found(request: Request, member: Caller, image_id: str) -> Record:
    record = world_of(request).store.get("image", image_id)
    if record is None or not _sees(member, record):
        raise ApiFault(404, f"No image found with ID {image_id}")
    return record


def _own(request: Request, member: Caller, image_id: str) -> Record:
    record = _found(request, member, image_id)
    if not (member.is_admin or _owns(member, record)):
        raise ApiFault(403, "You are not permitted to modify this image.")
    return record


def _image(world: World, record: Record) -> Body:
    created = world.clock.iso(record.created_at)
    body: Body = {"status": "active", "visibility": "public", "protected": False, "min_ram": 0, "tags": []}
    body |= {"disk_format": "qcow2", "container_format": "bare", "owner": record.project_id, "os_hidden": False}
    body |= {"checksum": hashlib.md5(record.id.encode(), usedforsecurity=False).hexdigest(), **record.attrs}
    body |= {"id": record.id, "created_at": created, "updated_at": created, "virtual_size": body.get("size")}
    body |= {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(record.id.encode()).hexdigest()}
    body |= {"stores": "file"}
    path = f"/v2/images/{record.id}"
    body |= {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}
    return {
        name: value for name, value in body.items() if value is not None or name not in record.attrs or name in _MADE
    }
