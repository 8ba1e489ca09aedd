"""/v1/quotas (contract §1.18): the same at every microversion."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.paging import KEYS
from services.api.request import Known, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import PAGE, body, parameters, shown
from services.api.usecases import quotas
from shared.contracts.http.quotas import QuotaChange, QuotaCreate, QuotaDefault, QuotaList, QuotaOut

router = APIRouter(prefix="/v1/quotas", tags=["quotas"])

Asked = Annotated[dict[str, str], Depends(query(*KEYS, "all_tenants"))]
ProjectId = Annotated[str, Path(description="id of a project", examples=["0123456789abcdef0123456789abcdef"])]
Resource = Annotated[str, Path(description="what the quota counts: Cluster", examples=["Cluster"])]

_ID: Final = "0123456789abcdef0123456789abcdef"
_EXAMPLE: Final = {"project_id": _ID, "resource": "Cluster", "hard_limit": 10}
_SHOWN: Final = {
    "id": 3,
    **_EXAMPLE,
    "created_at": "2026-11-22T14:09:36.884964+00:00",
    "updated_at": "2026-11-22T14:21:07.104412+00:00",
}
_PAGE: Final[list[dict[str, Any]]] = [
    {
        "name": "marker",
        "in": "query",
        "required": False,
        "description": "id of the last quota of the page before",
        "schema": {"type": "integer"},
        "example": 3,
    },
    *(one for one in PAGE if one["name"] != "marker"),
    {
        "name": "all_tenants",
        "in": "query",
        "required": False,
        "description": "every project's quotas instead of that of the caller's own project",
        "schema": {"type": "boolean"},
        "example": True,
    },
]


@router.get(
    "", responses={200: shown(QuotaList, {"quotas": [_SHOWN]})}, openapi_extra=parameters(*_PAGE), summary="List quotas"
)
async def list_quotas(context: Ctx, facts: Known, asked: Asked) -> Response:
    """The quotas that somebody has set, for administrators: their own project's, or all."""
    page = await quotas.list_page(context, facts, asked)
    found: dict[str, object] = {"quotas": [asdict(one) for one in page.quotas]}
    return answer(found | ({"next": f"{facts.base_url}/v1/quotas?{page.query}"} if page.full else {}))


@router.post(
    "",
    status_code=201,
    responses={201: shown(QuotaOut, _SHOWN)},
    openapi_extra=body(QuotaCreate, _EXAMPLE),
    dependencies=[NoQuery],
    summary="Set a project's quota",
)
async def create(context: Ctx, facts: Known, request: Request) -> Response:
    """Set how many bays a project may have, for administrators."""
    made = await quotas.create(context, facts, await wire_body(request, QuotaCreate))
    location = f"{facts.base_url}/v1/quotas/{quote(made.project_id, safe='')}/{made.resource}"
    return answer(asdict(made), 201, {"Location": location})


@router.get(
    "/{project_id}/{resource}",
    responses={200: shown(QuotaOut | QuotaDefault, _EXAMPLE)},
    dependencies=[NoQuery],
    summary="Show a project's quota",
)
async def show(context: Ctx, facts: Known, project_id: ProjectId, resource: Resource) -> Response:
    """The quota of the caller's own project, or of any for administrators; without id where the default holds."""
    return answer(await quotas.show(context, facts, project_id, resource))


@router.patch(
    "/{project_id}/{resource}",
    status_code=202,
    responses={202: shown(QuotaOut, _SHOWN)},
    openapi_extra=body(QuotaChange, {"hard_limit": 20}),
    dependencies=[NoQuery],
    summary="Change a project's quota",
)
async def update(context: Ctx, facts: Known, request: Request, project_id: ProjectId, resource: Resource) -> Response:
    """Set another limit, for administrators. The body is an object, not a JSON patch."""
    wanted = await wire_body(request, QuotaChange)
    return answer(asdict(await quotas.change(context, facts, project_id, resource, wanted)), 202)


@router.delete(
    "/{project_id}/{resource}", status_code=204, dependencies=[NoQuery], summary="Give a project the default again"
)
async def delete(context: Ctx, facts: Known, project_id: ProjectId, resource: Resource) -> Response:
    """Take a quota away, for administrators; the default holds again."""
    await quotas.delete(context, facts, project_id, resource)
    return Response(status_code=204)
