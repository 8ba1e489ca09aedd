"""/v1/clusters/{cluster}/actions (contract §1.10.7, §1.10.8): resize from microversion 1.7, upgrade from 1.8."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, flag, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import UUID_EXAMPLE, body, parameters, shown
from services.api.routers.versions import since
from services.api.usecases import actions
from services.api.usecases import upgrade as upgrading
from shared.contracts.http.bays import Accepted
from shared.contracts.http.clusters import ClusterResize, ClusterUpgrade, UpgradePreview

router = APIRouter(prefix="/v1/clusters/{ident}/actions", tags=["clusters"])

Ident = Annotated[str, Path(description="uuid or name; a name must mean one thing", examples=["k8s-cluster"])]

_SINCE: Final = 7
_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "It is under way; the cluster's status tells when it is done.")
}
_RESIZE: Final = {"node_count": 3, "nodes_to_remove": [], "nodegroup": "default-worker"}
_UPGRADE: Final = {"cluster_template": "k8s-newer", "max_batch_size": 2, "nodegroup": "default-worker"}
_PREVIEW: Final[dict[str, Any]] = {
    "cluster_template": UUID_EXAMPLE,
    "nodegroup": "default-worker",
    "node_count": 3,
    "max_batch_size": 2,
    "batches": [["c-1a2b3c-1-node-0", "c-1a2b3c-1-node-1"], ["c-1a2b3c-1-node-2"]],
    "changes": {"flavor_id": {"from": "m1.small", "to": "m1.medium"}},
    "version": {"label": "kube_tag", "from": "v1.36.4", "to": "v1.36.5", "verdict": "ok"},
    "masters": "stay as they are",
    "warnings": [],
}
_DRY_RUN: Final[dict[str, Any]] = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "check everything, show which nodes would be replaced in which order, and change nothing; "
    "not in Magnum",
    "schema": {"type": "boolean"},
    "example": True,
}
Rehearsed = Annotated[dict[str, str], Depends(query("dry_run", blank=True))]


@router.post(
    "/resize",
    status_code=202,
    responses=_ACCEPTED,
    openapi_extra=body(ClusterResize, _RESIZE),
    dependencies=[since(_SINCE, "resize"), NoQuery],
    summary="Change a cluster's number of nodes",
)
async def resize(context: Ctx, facts: Known, request: Request, ident: Ident) -> Response:
    """Resize a nodegroup, after a failed change too; from microversion 1.7."""
    wanted = await wire_body(request, ClusterResize)
    return answer({"uuid": str(await actions.ask_resize(context, facts, ident, wanted))}, 202)


@router.post(
    "/upgrade",
    status_code=202,
    responses={200: shown(UpgradePreview, _PREVIEW, "with dry_run: what would be replaced"), **_ACCEPTED},
    openapi_extra=body(ClusterUpgrade, _UPGRADE) | parameters(_DRY_RUN),
    dependencies=[since(_SINCE, "upgrade")],
    summary="Make a cluster like another template",
)
async def upgrade(context: Ctx, facts: Known, request: Request, ident: Ident, asked: Rehearsed) -> Response:
    """Replace the nodes of a cluster by those of another template, a few at a time; from microversion 1.8."""
    wanted = await wire_body(request, ClusterUpgrade)
    if flag(asked, "dry_run"):
        return answer(await upgrading.dry_run(context, facts, ident, wanted))
    return answer({"uuid": str(await upgrading.ask(context, facts, ident, wanted))}, 202)


@router.api_route(
    "/{action}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False, dependencies=[NoQuery]
)
async def unknown(action: str) -> Response:
    """Refuse actions that there are not, as Magnum does."""
    raise HTTPException(405)
