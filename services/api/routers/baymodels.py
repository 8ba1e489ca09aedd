"""/v1/baymodels and /v1/clustertemplates (contract §1.12): the same rows at every microversion, under two names."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api import documents
from services.api.faces import BAYMODEL, CLUSTERTEMPLATE, TemplateFace
from services.api.factory import Context
from services.api.paging import KEYS, next_url, read_page
from services.api.request import Facts, Known, json_body, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.examples import EXAMPLES
from services.api.routers.shapes import PAGE, body, parameters, patch_body, shown
from services.api.usecases import baymodels, lookup
from services.api.usecases.patches import PatchItem, read_patch
from shared.domain.errors import NotFound

Asked = Annotated[dict[str, str], Depends(query(*KEYS))]
Ident = Annotated[str, Path(description="uuid or name; a name must mean one thing", examples=["k8s"])]

_PATCH: Final = [{"op": "replace", "path": "/docker_volume_size", "value": 7}]


def make_router(face: TemplateFace) -> APIRouter:
    """The routes of one face."""
    router = APIRouter(prefix=f"/v1/{face.path}", tags=[face.path])
    _add_reading(router, face)
    _add_writing(router, face)
    return router


def _add_reading(router: APIRouter, face: TemplateFace) -> None:
    examples = EXAMPLES[face.path]

    @router.get(
        "",
        responses={200: shown(face.page, {face.path: [examples.full]})},
        openapi_extra=parameters(*PAGE),
        summary=f"List {face.words}s",
        description=f"The project's {face.words}s and the public ones.",
    )
    async def list_brief(context: Ctx, facts: Known, asked: Asked) -> Response:
        return await _list(context, facts, face, asked, "get_all", f"/v1/{face.path}")

    @router.get(
        "/detail",
        responses={200: shown(face.page, {face.path: [examples.full]})},
        openapi_extra=parameters(*PAGE),
        summary=f"List {face.words}s, whole",
        description=f"The same: {face.words}s are never shortened.",
    )
    async def list_whole(context: Ctx, facts: Known, asked: Asked) -> Response:
        return await _list(context, facts, face, asked, "detail", f"/v1/{face.path}/detail")

    @router.get(
        "/{ident}",
        responses={200: shown(face.full, examples.full)},
        dependencies=[NoQuery],
        summary=f"Show a {face.words}",
        description=f"One {face.words}, whole.",
    )
    async def show(context: Ctx, facts: Known, ident: Ident) -> Response:
        found = await lookup.show(context, face, facts.caller, ident)
        return documents.one(found.text, facts)

    @router.get("/{ident}/detail", include_in_schema=False)
    async def show_in_detail(ident: Ident) -> Response:
        raise NotFound(f"There is no detail of one {face.words}: GET /v1/{face.path}/{ident[:255]} shows all of it.")


def _add_writing(router: APIRouter, face: TemplateFace) -> None:
    examples = EXAMPLES[face.path]

    @router.post(
        "",
        status_code=201,
        responses={201: shown(face.full, examples.full)},
        openapi_extra=body(face.new, examples.new),
        dependencies=[NoQuery],
        summary=f"Create a {face.words}",
        description=f"Make a {face.words}, checked against the cloud.",
    )
    async def create(context: Ctx, facts: Known, request: Request) -> Response:
        made = await baymodels.create(context, facts, face, await wire_body(request, face.new))
        location = f"{facts.base_url}/v1/{face.path}/{made.id}"
        return documents.one(made.text, facts, status=201, location=location)

    @router.patch(
        "/{ident}",
        responses={200: shown(face.full, examples.full)},
        openapi_extra=patch_body(PatchItem, _PATCH),
        dependencies=[NoQuery],
        summary=f"Change a {face.words}",
        description=f"Change a {face.words}; while it is in use, only its name, its tags and who may see it.",
    )
    async def update(context: Ctx, facts: Known, request: Request, ident: Ident) -> Response:
        items = read_patch(await json_body(request, "patch"))
        changed = await baymodels.change(context, facts, face, ident, items)
        return documents.one(changed.text, facts)

    @router.delete(
        "/{ident}",
        status_code=204,
        dependencies=[NoQuery],
        summary=f"Delete a {face.words}",
        description=f"Delete a {face.words} that nothing was made of.",
    )
    async def delete(context: Ctx, facts: Known, ident: Ident) -> Response:
        await baymodels.remove(context, facts, face, ident)
        return Response(status_code=204)


async def _list(
    context: Context, facts: Facts, face: TemplateFace, asked: dict[str, str], action: str, path: str
) -> Response:
    context.policy.enforce(facts.caller, face.rule(action))
    scope = context.policy.scope(facts.caller, face.rule(f"{action}_all_projects"))
    page = read_page(asked, face.shelf, most=context.settings.max_limit)
    found = await lookup.list_page(context.reader, face, scope, page, whole=True)
    return documents.many(face.path, found, facts, next_url(facts.base_url, path, page, found))


router = APIRouter()
for _part in (make_router(BAYMODEL), make_router(CLUSTERTEMPLATE)):
    router.include_router(_part)
