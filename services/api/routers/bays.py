"""/v1/bays (contract §1.11): at microversion 1.1 the answer is the bay, from 1.2 on its uuid."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.api import documents, policy
from services.api.errors import answer
from services.api.factory import Context
from services.api.paging import KEYS, next_url, read_page
from services.api.request import Facts, Known, json_body, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import PAGE, body, parameters, patch_body
from services.api.usecases import change_bay, create_bay, lookup
from services.api.usecases.lookup import BAY
from services.api.usecases.patches import PatchItem, read_patch
from shared.contracts.http.base import bad
from shared.contracts.http.bays import Accepted, BayCreate, BayDetailList, BayFull, BayList, OperationList
from shared.contracts.http.values import boolean
from shared.db.repositories import operations
from shared.db.repositories.documents import Document
from shared.domain.errors import InvalidInput

router = APIRouter(prefix="/v1/bays", tags=["bays"])

Asked = Annotated[dict[str, str], Depends(query(*KEYS))]
Rollback = Annotated[dict[str, str], Depends(query("rollback"))]

_SYNC_UNTIL = 1
_ROLLBACK_FROM = 3
_EXAMPLE = {"name": "k8sbay", "baymodel_id": "k8sbaymodel", "node_count": 2, "master_count": 1}
_ROLLBACK = {
    "name": "rollback",
    "in": "query",
    "required": False,
    "description": "from microversion 1.3: undo the change if it fails",
    "schema": {"type": "boolean"},
}


@router.get("", responses={200: {"model": BayList}}, openapi_extra=parameters(*PAGE), summary="List bays")
async def list_bays(context: Ctx, facts: Known, asked: Asked) -> Response:
    """The project's bays, shortened; an administrator's list has every project's."""
    policy.enforce(facts.caller, "bay:get_all")
    return await _list(context, facts, asked, "/v1/bays", "doc_brief")


@router.get(
    "/detail", responses={200: {"model": BayDetailList}}, openapi_extra=parameters(*PAGE), summary="List bays, whole"
)
async def list_bays_in_detail(context: Ctx, facts: Known, asked: Asked) -> Response:
    """The project's bays, whole."""
    policy.enforce(facts.caller, "bay:detail")
    return await _list(context, facts, asked, "/v1/bays/detail", "doc")


@router.post(
    "",
    status_code=202,
    responses={201: {"model": BayFull, "description": "microversion 1.1"}, 202: {"model": Accepted}},
    openapi_extra=body(BayCreate, _EXAMPLE),
    dependencies=[NoQuery],
    summary="Create a bay",
)
async def create(context: Ctx, facts: Known, request: Request) -> Response:
    """Accept a bay; it is there as soon as this has answered, in CREATE_IN_PROGRESS."""
    bay = await create_bay.create(context, facts, await wire_body(request, BayCreate))
    location = f"{facts.base_url}/v1/bays/{bay.id}"
    if facts.version <= _SYNC_UNTIL:
        return documents.one(bay.text, facts.base_url, status=201, location=location)
    return answer({"uuid": str(bay.id)}, 202, {"Location": location})


@router.get("/{bay}", responses={200: {"model": BayFull}}, dependencies=[NoQuery], summary="Show a bay")
async def show(context: Ctx, facts: Known, bay: str) -> Response:
    """One bay, by uuid or name."""
    policy.enforce(facts.caller, "bay:get")
    found = await lookup.find(context.reader, BAY, facts.caller, bay)
    return documents.one(found.text, facts.base_url)


@router.patch(
    "/{bay}",
    status_code=202,
    responses={200: {"model": BayFull, "description": "microversion 1.1"}, 202: {"model": Accepted}},
    openapi_extra=patch_body(PatchItem, [{"op": "replace", "path": "/node_count", "value": 4}]) | parameters(_ROLLBACK),
    summary="Change a bay's node_count",
)
async def update(context: Ctx, facts: Known, request: Request, bay: str, asked: Rollback) -> Response:
    """Resize a bay; its status is UPDATE_IN_PROGRESS as soon as this has answered."""
    rollback = _rollback(facts, asked)
    items = read_patch(await json_body(request, "patch"))
    changed: Document = await change_bay.patch(context, facts, bay, items, rollback=rollback)
    if facts.version <= _SYNC_UNTIL:
        return documents.one(changed.text, facts.base_url)
    return answer({"uuid": str(changed.id)}, 202)


@router.delete("/{bay}", status_code=204, dependencies=[NoQuery], summary="Delete a bay")
async def delete(context: Ctx, facts: Known, bay: str) -> Response:
    """Take a bay down; 204 at every microversion, and again while it goes on."""
    await change_bay.delete(context, facts, bay)
    return Response(status_code=204)


@router.get(
    "/{bay}/operations",
    responses={200: {"model": OperationList}},
    dependencies=[NoQuery],
    summary="What was asked of a bay and how far it is",
)
async def list_operations(context: Ctx, facts: Known, bay: str) -> Response:
    """The bay's operations, newest first, each with its steps. Not in Magnum."""
    policy.enforce(facts.caller, "bay:get")
    found = await lookup.find(context.reader, BAY, facts.caller, bay)
    async with context.engine.connect() as conn:
        return answer({"operations": await operations.history(conn, found.id)})


async def _list(context: Context, facts: Facts, asked: dict[str, str], path: str, column: str) -> Response:
    page = read_page(asked, BAY.shelf, most=context.settings.max_limit)
    shown = await lookup.list_page(context.reader, BAY, facts.caller, page, column=column)
    return documents.many("bays", shown, facts.base_url, next_url(facts.base_url, path, page, shown))


def _rollback(facts: Facts, asked: dict[str, str]) -> bool:
    if "rollback" not in asked:
        return False
    if facts.version < _ROLLBACK_FROM:
        raise InvalidInput('Unknown argument: "rollback"', field="rollback")
    try:
        return boolean(asked["rollback"])
    except ValueError as error:
        raise bad("rollback", asked["rollback"], str(error)) from None
