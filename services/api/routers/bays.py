"""/v1/bays and /v1/clusters (contract §1.10, §1.11): the same rows under two names, each of which is a face."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api import documents
from services.api.errors import answer
from services.api.faces import BAY, CLUSTER, Face
from services.api.factory import Context
from services.api.paging import KEYS, next_url, read_page
from services.api.request import Facts, Known, flag, json_body, query, wire_body
from services.api.routers import actions
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.examples import DRY_RUN, EXAMPLES, OPERATION
from services.api.routers.shapes import PAGE, UUID_EXAMPLE, body, parameters, patch_body, shown
from services.api.usecases import change_bay, create_bay, lookup
from services.api.usecases.patches import PatchItem, read_patch
from shared.contracts.http.bays import Accepted, OperationList
from shared.contracts.http.dry_run import DryRun
from shared.db.repositories import operations
from shared.domain.errors import InvalidInput, NotFound

Asked = Annotated[dict[str, str], Depends(query(*KEYS))]
Rollback = Annotated[dict[str, str], Depends(query("rollback"))]
Rehearsed = Annotated[dict[str, str], Depends(query("dry_run", blank=True))]
"""A bare `?dry_run` is refused: whoever forgot the value must not get a real bay."""
Forced = Annotated[dict[str, str], Depends(query("force", blank=True))]
"""A bare `?force` is refused: it says neither yes nor no."""
Ident = Annotated[str, Path(description="uuid or name; a name must mean one thing", examples=["k8sbay"])]

_ROLLBACK_FROM: Final = 3
_PATCH: Final = [{"op": "replace", "path": "/node_count", "value": 4}]
_ROLLBACK: Final[dict[str, Any]] = {
    "name": "rollback",
    "in": "query",
    "required": False,
    "description": "from microversion 1.3: undo the change if it fails",
    "schema": {"type": "boolean"},
    "example": True,
}
_DRY_RUN: Final[dict[str, Any]] = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "check everything, show what would be made, and make nothing; not in Magnum",
    "schema": {"type": "boolean"},
    "example": True,
}

_FORCE: Final[dict[str, Any]] = {
    "name": "force",
    "in": "query",
    "required": False,
    "description": "for administrators: what cannot be removed is left behind, and told in the log; not in Magnum",
    "schema": {"type": "boolean"},
    "example": True,
}


def make_router(face: Face) -> APIRouter:
    """The routes of one face."""
    router = APIRouter(prefix=f"/v1/{face.path}", tags=[face.path])
    _add_reading(router, face)
    _add_writing(router, face)
    return router


def _add_reading(router: APIRouter, face: Face) -> None:
    examples = EXAMPLES[face.path]

    @router.get(
        "",
        responses={200: shown(face.page, {face.path: [examples.brief]})},
        openapi_extra=parameters(*PAGE),
        summary=f"List {face.many}",
        description=f"The project's {face.many}, shortened; an administrator's list has every project's.",
    )
    async def list_brief(context: Ctx, facts: Known, asked: Asked) -> Response:
        return await _list(context, facts, face, asked, "get_all", f"/v1/{face.path}", whole=False)

    @router.get(
        "/detail",
        responses={200: shown(face.detail_page, {face.path: [examples.full]})},
        openapi_extra=parameters(*PAGE),
        summary=f"List {face.many}, whole",
        description=f"The project's {face.many}, whole; an administrator's list has every project's.",
    )
    async def list_whole(context: Ctx, facts: Known, asked: Asked) -> Response:
        return await _list(context, facts, face, asked, "detail", f"/v1/{face.path}/detail", whole=True)

    @router.get(
        "/{ident}",
        responses={200: shown(face.full, examples.full)},
        dependencies=[NoQuery],
        summary=f"Show a {face.one}",
        description=f"One {face.one}, whole.",
    )
    async def show(context: Ctx, facts: Known, ident: Ident) -> Response:
        found = await lookup.show(context, face, facts.caller, ident)
        return documents.one(found.text, facts)

    @router.get("/{ident}/detail", include_in_schema=False)
    async def show_in_detail(ident: Ident) -> Response:
        raise NotFound(f"There is no detail of one {face.one}: GET /v1/{face.path}/{ident[:255]} shows all of it.")

    @router.get(
        "/{ident}/operations",
        responses={200: shown(OperationList, {"operations": [OPERATION]})},
        dependencies=[NoQuery],
        summary=f"What was asked of a {face.one} and how far it is",
        description=f"The {face.one}'s last hundred operations, newest first, with their steps. Not in Magnum.",
    )
    async def list_operations(context: Ctx, facts: Known, ident: Ident) -> Response:
        found = await lookup.show(context, face, facts.caller, ident)
        async with context.engine.connect() as conn:
            return answer({"operations": await operations.history(conn, found.id)})


def _add_writing(router: APIRouter, face: Face) -> None:
    examples = EXAMPLES[face.path]
    accepted: dict[int | str, dict[str, Any]] = {
        202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "It is under way; its status tells when it is done.")
    }
    sync = f"up to microversion 1.{face.sync_until}: the {face.one} itself"

    def whole(status: int) -> dict[int | str, dict[str, Any]]:
        return {status: shown(face.full, examples.full, sync)} if face.sync_until else {}

    @router.post(
        "",
        status_code=202,
        responses={200: shown(DryRun, DRY_RUN, "with dry_run: what would be made"), **whole(201), **accepted},
        openapi_extra=body(face.new, examples.new) | parameters(_DRY_RUN),
        summary=f"Create a {face.one}",
        description=f"Accept a {face.one}; it is there as soon as this has answered, in CREATE_IN_PROGRESS.",
    )
    async def create(context: Ctx, facts: Known, request: Request, asked: Rehearsed) -> Response:
        wanted = await wire_body(request, face.new)
        if flag(asked, "dry_run"):
            return answer(await create_bay.dry_run(context, facts, face, wanted))
        made = await create_bay.create(context, facts, face, wanted)
        return _accepted(facts, face, made)

    @router.patch(
        "/{ident}",
        status_code=202,
        responses={**whole(200), **accepted},
        openapi_extra=patch_body(PatchItem, _PATCH) | parameters(_ROLLBACK),
        summary=f"Change a {face.one}",
        description=f"What may change: {', '.join(sorted(face.changeable))}. With another node_count the status is "
        "UPDATE_IN_PROGRESS as soon as this has answered.",
    )
    async def update(context: Ctx, facts: Known, request: Request, ident: Ident, asked: Rollback) -> Response:
        if asked and facts.version < _ROLLBACK_FROM:
            raise InvalidInput('Unknown argument: "rollback"', field="rollback")
        rollback = flag(asked, "rollback")
        items = read_patch(await json_body(request, "patch"))
        changed = await change_bay.patch(context, facts, face, ident, items, rollback=rollback)
        if facts.version <= face.sync_until:
            return documents.one(changed.text, facts)
        return answer({"uuid": str(changed.id)}, 202)

    @router.delete(
        "/{ident}",
        status_code=204,
        openapi_extra=parameters(_FORCE),
        summary=f"Delete a {face.one}",
        description=f"Take a {face.one} down; 204 at every microversion, and again while it goes on.",
    )
    async def delete(context: Ctx, facts: Known, ident: Ident, asked: Forced) -> Response:
        await change_bay.delete(context, facts, face, ident, force=flag(asked, "force"))
        return Response(status_code=204)


def _accepted(facts: Facts, face: Face, made: create_bay.Accepted) -> Response:
    """The answer to a POST; what the owner should know goes into headers, which old clients do not read."""
    row = made.document
    location = f"{facts.base_url}/v1/{face.path}/{row.id}"
    if facts.version <= face.sync_until:
        response = documents.one(row.text, facts, status=201, location=location)
    else:
        response = answer({"uuid": str(row.id)}, 202, {"Location": location})
    for sentence in made.warnings:
        response.headers.append("Warning", f'299 - "{sentence}"')
    return response


async def _list(
    context: Context, facts: Facts, face: Face, asked: dict[str, str], action: str, path: str, *, whole: bool
) -> Response:
    context.policy.enforce(facts.caller, face.rule(action))
    scope = context.policy.scope(facts.caller, face.rule(f"{action}_all_projects"))
    page = read_page(asked, face.shelf, most=context.settings.max_limit)
    found = await lookup.list_page(context.reader, face, scope, page, whole=whole)
    return documents.many(face.path, found, facts, next_url(facts.base_url, path, page, found))


router = APIRouter()
for _part in (make_router(BAY), make_router(CLUSTER), actions.router):
    router.include_router(_part)
