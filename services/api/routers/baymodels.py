"""/v1/baymodels (contract §1.12): the same at every microversion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.api import documents, policy
from services.api.factory import Context
from services.api.paging import KEYS, next_url, read_page
from services.api.request import Facts, Known, json_body, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import PAGE, body, parameters, patch_body
from services.api.usecases import baymodels, lookup
from services.api.usecases.lookup import BAYMODEL
from services.api.usecases.patches import PatchItem, read_patch
from shared.contracts.http.baymodels import BaymodelCreate, BaymodelFull, BaymodelList

router = APIRouter(prefix="/v1/baymodels", tags=["baymodels"])

Asked = Annotated[dict[str, str], Depends(query(*KEYS))]

_EXAMPLE = {
    "name": "k8sbaymodel",
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "dns_nameserver": "8.8.8.8",
    "flavor_id": "m1.small",
    "docker_volume_size": 5,
    "network_driver": "flannel",
}


@router.get("", responses={200: {"model": BaymodelList}}, openapi_extra=parameters(*PAGE), summary="List baymodels")
async def list_baymodels(context: Ctx, facts: Known, asked: Asked) -> Response:
    """The project's baymodels and the public ones."""
    policy.enforce(facts.caller, "baymodel:get_all")
    return await _list(context, facts, asked, "/v1/baymodels")


@router.get(
    "/detail",
    responses={200: {"model": BaymodelList}},
    openapi_extra=parameters(*PAGE),
    summary="List baymodels, whole",
)
async def list_baymodels_in_detail(context: Ctx, facts: Known, asked: Asked) -> Response:
    """The same: baymodels are never shortened."""
    policy.enforce(facts.caller, "baymodel:detail")
    return await _list(context, facts, asked, "/v1/baymodels/detail")


@router.post(
    "",
    status_code=201,
    responses={201: {"model": BaymodelFull}},
    openapi_extra=body(BaymodelCreate, _EXAMPLE),
    dependencies=[NoQuery],
    summary="Create a baymodel",
)
async def create(context: Ctx, facts: Known, request: Request) -> Response:
    """Make a baymodel."""
    made = await baymodels.create(context, facts, await wire_body(request, BaymodelCreate))
    location = f"{facts.base_url}/v1/baymodels/{made.id}"
    return documents.one(made.text, facts.base_url, status=201, location=location)


@router.get("/{baymodel}", responses={200: {"model": BaymodelFull}}, dependencies=[NoQuery], summary="Show a baymodel")
async def show(context: Ctx, facts: Known, baymodel: str) -> Response:
    """One baymodel, by uuid or name."""
    policy.enforce(facts.caller, "baymodel:get")
    found = await lookup.find(context.reader, BAYMODEL, facts.caller, baymodel)
    return documents.one(found.text, facts.base_url)


@router.patch(
    "/{baymodel}",
    responses={200: {"model": BaymodelFull}},
    openapi_extra=patch_body(PatchItem, [{"op": "replace", "path": "/docker_volume_size", "value": 7}]),
    dependencies=[NoQuery],
    summary="Change a baymodel",
)
async def update(context: Ctx, facts: Known, request: Request, baymodel: str) -> Response:
    """Change a baymodel; while bays use it, only its name, its tags and who may see it."""
    items = read_patch(await json_body(request, "patch"))
    return documents.one(await baymodels.change(context, facts, baymodel, items), facts.base_url)


@router.delete("/{baymodel}", status_code=204, dependencies=[NoQuery], summary="Delete a baymodel")
async def delete(context: Ctx, facts: Known, baymodel: str) -> Response:
    """Delete a baymodel that no bay uses."""
    await baymodels.remove(context, facts, baymodel)
    return Response(status_code=204)


async def _list(context: Context, facts: Facts, asked: dict[str, str], path: str) -> Response:
    page = read_page(asked, BAYMODEL.shelf, most=context.settings.max_limit)
    shown = await lookup.list_page(context.reader, BAYMODEL, facts.caller, page)
    return documents.many("baymodels", shown, facts.base_url, next_url(facts.base_url, path, page, shown))
