"""The application: routers, error answers, the door, and the process's context in its lifespan."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from services.api.door import Door
from services.api.errors import answer, render
from services.api.factory import Context, open_context
from services.api.openapi import describe
from services.api.refusals import Refusals
from services.api.routers import (
    baymodels,
    bays,
    certificates,
    credentials,
    dead_letters,
    docs,
    events,
    federations,
    leftovers,
    mservices,
    nodegroups,
    nodes,
    operations,
    quotas,
    root,
    scaling,
    stats,
)
from services.api.settings import ApiSettings
from services.api.throttle import Accounts, Throttle, UserThrottle
from shared.domain.errors import JeroboamError

_log = structlog.get_logger(__name__)

END_STREAMS: Final = "end_streams"
"""Where in the lifespan's state the function is that ends what would never end by itself."""


def make_app(settings: ApiSettings) -> ASGIApp:
    """The whole gateway as one ASGI application; nothing is connected before its lifespan begins."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_context(settings) as context:
            app.state.context = context
            yield {END_STREAMS: context.events.end}

    app = FastAPI(
        title="Jeroboam",
        version="1",
        summary="Container clusters for OpenStack, with Magnum's API v1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's page has its scripts from the Internet; ours is routers/docs.py
        redoc_url=None,
    )
    for module in (
        certificates,  # first, since routes are tried one after the other and signing is the hottest
        *(root, bays, events, scaling, baymodels, nodegroups, credentials),
        *(quotas, stats, mservices, dead_letters, operations, federations, nodes, leftovers, docs),
    ):
        app.include_router(module.router)
    app.add_exception_handler(JeroboamError, _rendered)
    app.add_exception_handler(Exception, _rendered)  # Starlette raises it again after that; the door ends it
    app.add_exception_handler(HTTPException, _router_level)
    app.openapi = _once(app)  # type: ignore[method-assign]  # FastAPI's documented way to change the document

    def context() -> Context:
        return cast("Context", app.state.context)

    def refusals() -> Refusals:
        return context().refusals

    accounts = Accounts(most=settings.refused_csrs, seconds=settings.refused_csr_seconds)
    known = UserThrottle(app, accounts=accounts, refusals=refusals)
    door = Door(known, validator=lambda: context().cloud.validator, public_url=settings.public_url)
    return Throttle(door, accounts=accounts, refusals=refusals)


async def _rendered(_request: Request, error: Exception) -> Response:
    return render(error)


async def _router_level(request: Request, error: Exception) -> Response:
    """404 and 405 of the router: no detail, no code. HEAD gets an empty list, as in Magnum."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    title = "Method Not Allowed" if error.status_code == 405 else "Not Found"
    item = {"request_id": "", "code": "", "status": error.status_code, "title": title, "detail": "", "links": []}
    errors = [] if request.method == "HEAD" else [item]
    return answer({"errors": errors}, error.status_code, error.headers)


def _once(app: FastAPI) -> Any:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    return openapi
