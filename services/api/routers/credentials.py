"""/v1/credentials (contract §1.15), from microversion 1.12."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import NO_BODY, UUID_EXAMPLE, shown
from services.api.routers.versions import since
from services.api.usecases import rotate
from shared.contracts.http.bays import Accepted

router = APIRouter(prefix="/v1/credentials", tags=["credentials"])

Cluster = Annotated[str, Path(description="uuid or name", examples=["k8s-cluster"])]

_SINCE = 12


@router.patch(
    "/{cluster}",
    status_code=202,
    responses={202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "the nodes will be given it")},
    openapi_extra=NO_BODY,
    dependencies=[since(_SINCE, "patch"), NoQuery],
    summary="Rotate a cluster's cloud credential",
)
async def update(context: Ctx, facts: Known, cluster: Cluster) -> Response:
    """Give the cluster's nodes another cloud credential, made with the caller's token. A body is not looked at."""
    return answer({"uuid": str(await rotate.credential(context, facts, cluster))}, 202)
