"""Glance v2: images, read only."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import caller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, select
from cloudsim.store import Record
from cloudsim.world import World

router = APIRouter(prefix="/image")


@router.get("")
@router.get("/")
@router.get("/versions")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    links = [{"rel": "self", "href": f"{base_url(request)}/image/v2/"}]
    return answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]}, 300)


@router.get("/v2/images", dependencies=[Depends(caller)])
async def images(request: Request) -> Response:
    """A list; any property can be filtered by."""
    world = world_of(request)
    bodies = [_image(world, record) for record in world.store.list("image")]
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


@router.get("/v2/images/{image_id}", dependencies=[Depends(caller)])
async def image(request: Request, image_id: str) -> Response:
    """One image, by id only; its properties stand beside its fields, without an outer key."""
    world = world_of(request)
    record = world.store.get("image", image_id)
    if record is None:
        raise ApiFault(404, f"No image found with ID {image_id}")
    return answer(_image(world, record))


def _image(world: World, record: Record) -> Body:
    created = world.clock.iso(record.created_at)
    body: Body = {"status": "active", "visibility": "public", "protected": False, "min_ram": 0, "tags": []}
    body |= {"disk_format": "qcow2", "container_format": "bare", "owner": record.project_id, "os_hidden": False}
    body |= {"checksum": hashlib.md5(record.id.encode(), usedforsecurity=False).hexdigest(), **record.attrs}
    body |= {"id": record.id, "created_at": created, "updated_at": created, "virtual_size": body.get("size")}
    body |= {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(record.id.encode()).hexdigest()}
    body |= {"stores": "file"}
    path = f"/v2/images/{record.id}"
    return body | {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}
