"""/v1/clusters/{cluster}/actions (contract §1.10.7, §1.10.8): resize from microversion 1.7, upgrade from 1.8."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import UUID_EXAMPLE, body, shown
from services.api.routers.versions import since
from services.api.usecases import actions
from shared.contracts.http.bays import Accepted
from shared.contracts.http.clusters import ClusterResize, ClusterUpgrade

router = APIRouter(prefix="/v1/clusters/{ident}/actions", tags=["clusters"])

Ident = Annotated[str, Path(description="uuid or name; a name must mean one thing", examples=["k8s-cluster"])]

_SINCE: Final = 7
_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "It is under way; the cluster's status tells when it is done.")
}
_RESIZE: Final = {"node_count": 3, "nodes_to_remove": [], "nodegroup": "default-worker"}
_UPGRADE: Final = {"cluster_template": "k8s-newer", "max_batch_size": 1}


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
    responses=_ACCEPTED,
    openapi_extra=body(ClusterUpgrade, _UPGRADE),
    dependencies=[since(_SINCE, "upgrade"), NoQuery],
    summary="Make a cluster like another template",
)
async def upgrade(context: Ctx, facts: Known, request: Request, ident: Ident) -> Response:
    """Upgrade a cluster, where its driver can do that; from microversion 1.8."""
    wanted = await wire_body(request, ClusterUpgrade)
    return answer({"uuid": str(await actions.ask_upgrade(context, facts, ident, wanted))}, 202)


@router.api_route(
    "/{action}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False, dependencies=[NoQuery]
)
async def unknown(action: str) -> Response:
    """Refuse actions that there are not, as Magnum does."""
    raise HTTPException(405)
