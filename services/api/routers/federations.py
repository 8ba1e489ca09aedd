"""/v1/federations (contract §1.19): Magnum's own behaviour, in which no federation ever exists."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.paging import KEYS
from services.api.request import Known, json_body, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import PAGE, UUID_EXAMPLE, body, parameters, patch_body, shown
from services.api.usecases import federations
from services.api.usecases.patches import PatchItem, read_patch
from shared.contracts.http.bays import Accepted
from shared.contracts.http.federations import FederationCreate, FederationList

router = APIRouter(prefix="/v1/federations", tags=["federations"])

Asked = Annotated[dict[str, str], Depends(query(*KEYS))]
Federation = Annotated[str, Path(description="uuid or name", examples=["phi-17-federation"])]

_EXAMPLE: Final = {
    "name": "phi-17-federation",
    "hostcluster_id": UUID_EXAMPLE,
    "member_ids": [UUID_EXAMPLE],
    "properties": {"dns-zone": "example.com."},
}
_NONE: Final[dict[str, Any]] = {"federations": []}
_ROLLBACK: Final[dict[str, Any]] = {
    "name": "rollback",
    "in": "query",
    "required": False,
    "description": "means nothing here",
    "schema": {"type": "boolean"},
    "example": False,
}


@router.get(
    "", responses={200: shown(FederationList, _NONE)}, openapi_extra=parameters(*PAGE), summary="List federations"
)
async def list_federations(context: Ctx, facts: Known, asked: Asked) -> Response:
    """An empty list."""
    federations.check_page(context, facts, asked, "federation:get_all")
    return answer(_NONE)


@router.get(
    "/detail",
    responses={200: shown(FederationList, _NONE)},
    openapi_extra=parameters(*PAGE),
    summary="List federations, whole",
)
async def list_federations_in_detail(context: Ctx, facts: Known, asked: Asked) -> Response:
    """An empty list."""
    federations.check_page(context, facts, asked, "federation:detail")
    return answer(_NONE)


@router.post(
    "",
    status_code=202,
    responses={202: shown(Accepted, {"uuid": UUID_EXAMPLE})},
    openapi_extra=body(FederationCreate, _EXAMPLE),
    dependencies=[NoQuery],
    summary="Check a federation",
)
async def create(context: Ctx, facts: Known, request: Request) -> Response:
    """Check a federation and answer as Magnum does, which makes none either."""
    made = await federations.create(context, facts, await wire_body(request, FederationCreate))
    return answer({"uuid": str(made)}, 202)


@router.get("/{federation}", status_code=404, dependencies=[NoQuery], summary="Show a federation")
async def show(context: Ctx, facts: Known, federation: Federation) -> Response:
    """There is none: 404."""
    context.policy.enforce(facts.caller, "federation:get")
    raise federations.missing(federation)


@router.patch(
    "/{federation}",
    status_code=404,
    openapi_extra=patch_body(PatchItem, [{"op": "add", "path": "/member_ids", "value": UUID_EXAMPLE}])
    | parameters(_ROLLBACK),
    dependencies=[Depends(query("rollback"))],
    summary="Change a federation",
)
async def update(context: Ctx, facts: Known, request: Request, federation: Federation) -> Response:
    """There is none: 404."""
    read_patch(await json_body(request, "patch"))
    context.policy.enforce(facts.caller, "federation:update")
    raise federations.missing(federation)


@router.delete("/{federation}", status_code=404, dependencies=[NoQuery], summary="Delete a federation")
async def delete(context: Ctx, facts: Known, federation: Federation) -> Response:
    """There is none: 404."""
    context.policy.enforce(facts.caller, "federation:delete")
    raise federations.missing(federation)
