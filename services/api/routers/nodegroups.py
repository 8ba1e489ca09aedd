"""/v1/clusters/{cluster}/nodegroups (contract §1.13), from microversion 1.9."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.paging import KEYS
from services.api.request import Known, json_body, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import PAGE, UUID_EXAMPLE, body, parameters, patch_body, shown
from services.api.routers.versions import since
from services.api.usecases import nodegroups
from services.api.usecases.patches import PatchItem, read_patch
from shared.contracts.http.nodegroups import NodegroupCreate, NodegroupFull, NodegroupList

router = APIRouter(prefix="/v1/clusters/{cluster}/nodegroups", tags=["nodegroups"])

Asked = Annotated[dict[str, str], Depends(query(*KEYS, "role"))]
Cluster = Annotated[str, Path(description="uuid or name of the cluster", examples=["k8s-cluster"])]
Group = Annotated[str, Path(description="uuid or name of the nodegroup", examples=["default-worker"])]

_SINCE: Final = 9
_EXAMPLE: Final = {"name": "more", "node_count": 2, "min_node_count": 1, "max_node_count": 5, "flavor_id": "m1.large"}
_BRIEF: Final = {
    "uuid": UUID_EXAMPLE,
    "name": "default-worker",
    "flavor_id": "m1.small",
    "image_id": "d6a1b2c3-0c1e-4f0b-8f56-0c2f8f1f2f53",
    "node_count": 2,
    "role": "worker",
    "is_default": True,
    "status": "CREATE_COMPLETE",
    "stack_id": "e1b7c6a4-6c5b-4ab0-8ed2-7c3c6e2a1f10",
    "min_node_count": 0,
    "max_node_count": 5,
    "merge_labels": False,
}
_PLACE: Final = f"clusters/5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d/nodegroups/{UUID_EXAMPLE}"
_FULL: Final = {
    "id": 12,
    **_BRIEF,
    "cluster_id": "5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d",
    "project_id": "0123456789abcdef0123456789abcdef",
    "docker_volume_size": 5,
    "labels": {"kube_tag": "v1.2.3"},
    "labels_added": {},
    "labels_overridden": {},
    "labels_skipped": {},
    "node_addresses": ["172.24.4.11", "172.24.4.12"],
    "status_reason": "Stack CREATE completed successfully",
    "links": [
        {"rel": "self", "href": f"http://127.0.0.1:9511/v1/{_PLACE}"},
        {"rel": "bookmark", "href": f"http://127.0.0.1:9511/{_PLACE}"},
    ],
    "created_at": "2026-11-22T14:09:36.884964+00:00",
    "updated_at": "2026-11-22T14:21:07.104412+00:00",
    "node_labels": {},
    "node_taints": [],
}
_ROLE: Final[dict[str, Any]] = {
    "name": "role",
    "in": "query",
    "required": False,
    "description": "only groups of this role",
    "schema": {"type": "string"},
    "example": "worker",
}


@router.get(
    "",
    responses={200: shown(NodegroupList, {"nodegroups": [_BRIEF]})},
    openapi_extra=parameters(*PAGE, _ROLE),
    dependencies=[since(_SINCE, "get_all")],
    summary="List a cluster's nodegroups",
)
async def list_nodegroups(context: Ctx, facts: Known, cluster: Cluster, asked: Asked) -> Response:
    """The cluster's nodegroups, shortened, in order of creation: the masters' group comes first."""
    return answer(await nodegroups.list_page(context, facts, cluster, asked))


@router.post(
    "",
    status_code=202,
    responses={202: shown(NodegroupFull, _FULL, "It is under way; its status tells when it is done.")},
    openapi_extra=body(NodegroupCreate, _EXAMPLE),
    dependencies=[since(_SINCE, "post"), NoQuery],
    summary="Create a nodegroup",
)
async def create(context: Ctx, facts: Known, request: Request, cluster: Cluster) -> Response:
    """Accept a nodegroup: it is there as soon as this has answered, in CREATE_IN_PROGRESS."""
    return _accepted(await nodegroups.create(context, facts, cluster, await wire_body(request, NodegroupCreate)))


def _accepted(made: nodegroups.Made) -> Response:
    response = answer(made.group, 202)
    for sentence in made.warnings:
        response.headers.append("Warning", f'299 - "{sentence}"')
    return response


@router.get(
    "/{nodegroup}",
    responses={200: shown(NodegroupFull, _FULL)},
    dependencies=[since(_SINCE, "get_one"), NoQuery],
    summary="Show a nodegroup",
)
async def show(context: Ctx, facts: Known, cluster: Cluster, nodegroup: Group) -> Response:
    """One nodegroup, by uuid or name."""
    return answer(await nodegroups.show(context, facts, cluster, nodegroup))


@router.patch(
    "/{nodegroup}",
    status_code=202,
    responses={202: shown(NodegroupFull, _FULL)},
    openapi_extra=patch_body(PatchItem, [{"op": "replace", "path": "/max_node_count", "value": 5}]),
    dependencies=[since(_SINCE, "patch"), NoQuery],
    summary="Change a nodegroup",
)
async def update(context: Ctx, facts: Known, request: Request, cluster: Cluster, nodegroup: Group) -> Response:
    """Change min_node_count and max_node_count, between which every resize must stay; and from microversion 1.14
    node_labels and node_taints, which nodes get that are added later. It holds at once."""
    items = read_patch(await json_body(request, "patch"))
    return _accepted(await nodegroups.change(context, facts, cluster, nodegroup, items))


@router.delete(
    "/{nodegroup}",
    status_code=204,
    dependencies=[since(_SINCE, "delete"), NoQuery],
    summary="Delete a nodegroup",
)
async def delete(context: Ctx, facts: Known, cluster: Cluster, nodegroup: Group) -> Response:
    """Take a nodegroup down, and its nodes with it; refused for the two default ones."""
    await nodegroups.delete(context, facts, cluster, nodegroup)
    return Response(status_code=204)
