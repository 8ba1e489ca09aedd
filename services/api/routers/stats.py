"""/v1/stats (contract §1.17): the same at every microversion."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, query
from services.api.routers.dependencies import Ctx
from services.api.routers.shapes import parameters, shown
from services.api.usecases import stats
from shared.contracts.http.stats import StatsOut

router = APIRouter(prefix="/v1/stats", tags=["stats"])

Asked = Annotated[dict[str, str], Depends(query("project_id", "type"))]

_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "project_id",
        "in": "query",
        "required": False,
        "description": "whose; absent: the caller's own project, and for administrators the whole cloud",
        "schema": {"type": "string"},
        "example": "0123456789abcdef0123456789abcdef",
    },
    {
        "name": "type",
        "in": "query",
        "required": False,
        "description": "what is counted",
        "schema": {"type": "string", "enum": ["cluster"], "default": "cluster"},
        "example": "cluster",
    },
]


@router.get(
    "",
    responses={200: shown(StatsOut, {"clusters": 3, "nodes": 18})},
    openapi_extra=parameters(*_PARAMETERS),
    summary="Count clusters and nodes",
)
async def show(context: Ctx, facts: Known, asked: Asked) -> Response:
    """How many clusters and nodes there are; masters are nodes too."""
    return answer(await stats.totals(context, facts, asked.get("project_id"), asked.get("type", "cluster")))
