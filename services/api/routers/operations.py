"""/v1/operations: what is under way in every project, for administrators. Not in Magnum.

One bay's operations are at /v1/bays/{bay}/operations.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, query
from services.api.routers.dependencies import Ctx
from services.api.routers.examples import OPERATION
from services.api.routers.shapes import PAGE, UUID_EXAMPLE, parameters, shown
from services.api.usecases import operations
from shared.contracts.http.operations import CloudOperationList
from shared.domain.operation import OperationKind, OperationState, Service

router = APIRouter(prefix="/v1/operations", tags=["operations"])

Asked = Annotated[dict[str, str], Depends(query("marker", "limit", "sort_dir", *operations.FILTERS))]

_MOMENT: Final = "2026-11-22T14:20:31.104412+00:00"
_SHOWN: Final[dict[str, Any]] = {
    **OPERATION,
    "state": "active",
    "bay": {
        "uuid": UUID_EXAMPLE,
        "name": "k8sbay",
        "project_id": "0123456789abcdef0123456789abcdef",
        "status": "UPDATE_IN_PROGRESS",
    },
    "service": "provisioner",
    "step": "resize.stack",
    "failures": 7,
    "surprises": 0,
    "next_run_at": _MOMENT,
    "lease_until": _MOMENT,
    "deadline": "2026-11-22T15:20:01.104412+00:00",
    "stuck": "failing",
}


def _filter(name: str, description: str, example: object, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        "example": example,
    }


_QUERY: Final = (
    *(one for one in PAGE if one["name"] in ("marker", "limit")),
    _filter("sort_dir", "newest (desc) or oldest (asc) first", "asc", {"enum": ["asc", "desc"], "default": "desc"}),
    _filter("state", "only those in this state", "active", {"enum": [one.value for one in OperationState]}),
    _filter("kind", "only those of this kind", "create", {"enum": [one.value for one in OperationKind]}),
    _filter("service", "only those whose step is this service's", "scaler", {"enum": [one.value for one in Service]}),
    _filter(
        "project_id",
        "only those of this project's bays",
        "0123456789abcdef0123456789abcdef",
        {"type": "string"},
    ),
    _filter("stuck", "only those that somebody should look at", example=True, schema={"type": "boolean"}),
)


@router.get(
    "",
    responses={200: shown(CloudOperationList, {"operations": [_SHOWN]})},
    openapi_extra=parameters(*_QUERY),
    summary="List every project's operations",
)
async def list_operations(context: Ctx, facts: Known, asked: Asked) -> Response:
    """What was asked of all bays and how far it is, newest first, for administrators. Bays that are gone have none.

    `stuck` tells of an operation that does not go on as it should: its worker is gone, no worker takes it, a worker
    stopped in it, or it fails again and again.
    """
    page = await operations.list_page(context, facts, asked)
    found: dict[str, object] = {"operations": page.operations}
    return answer(found | ({"next": f"{facts.base_url}/v1/operations?{page.query}"} if page.query else {}))
