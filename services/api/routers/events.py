"""What happens to a bay, as it happens: `/v1/bays/{bay}/events` and `/v1/clusters/{cluster}/events`. Not in Magnum.

Server-sent events (the HTML standard's text/event-stream). `status` is a line of the bay's history and has an id;
`operation` is an operation as `…/operations` shows it, whenever it or one of its steps has changed; `gone` is the last.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from services.api.faces import BAY, CLUSTER, Face
from services.api.request import Known, query
from services.api.routers.bays import Ident
from services.api.routers.dependencies import Ctx
from services.api.routers.shapes import parameters
from services.api.usecases import lookup
from services.api.usecases.events import Subscription
from shared.contracts.http.base import bad

Asked = Annotated[dict[str, str], Depends(query("after"))]
LastEventId = Annotated[str | None, Header(include_in_schema=False)]

_NUMBER = re.compile(r"[0-9]{1,18}")
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_EXAMPLE: Final = """retry: 2000

event: status
data: {"at": "2026-11-22T10:00:00.1+00:00", "event": "create asked", "was": null, "became": "CREATE_IN_PROGRESS", \
"reason": null, "operation_id": null}
id: 17

event: operation
data: {"id": "8a1e…", "seq": 9, "kind": "create", "state": "active", …, "steps": […]}

: ping

event: gone
data: {"uuid": "5d12f6fd-…"}

"""
_AFTER: Final = (
    {
        "name": "after",
        "in": "query",
        "required": False,
        "description": "tell the lines of the history after the one of this number; absent: begin with the present",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
        "example": 17,
    },
    {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "the same, as browsers send it when they connect again; it has precedence",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "example": "17",
    },
)


class EventStream(EventSourceResponse):
    """A stream that gives its place back however it ends: the client goes, the bay goes, the process stops."""

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(subscription.frames(), headers=_HEADERS)
        self._subscription = subscription

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._subscription.kept():
            await super().__call__(scope, receive, send)


def add_events(router: APIRouter, face: Face) -> None:
    """The stream under one of a bay's names."""

    @router.get(
        f"/v1/{face.path}/{{ident}}/events",
        response_class=Response,  # FastAPI would take its own class as a promise of a generator
        responses={200: _stream_document()},
        openapi_extra=parameters(*_AFTER),
        summary=f"What happens to a {face.one}, as it happens",
        tags=[face.path],
        name=f"{face.one}_events",
    )
    async def stream(
        context: Ctx, facts: Known, ident: Ident, asked: Asked, last_event_id: LastEventId = None
    ) -> Response:
        """Server-sent events: `status`, `operation` and `gone`; the present state comes first, then every change.

        The id of a `status` is its number in the history: a stream that begins after that number (`Last-Event-ID`)
        misses none. The stream ends after an hour at most, when the bay is gone, and when the service stops; connect
        again then. An answer of 404 to that means that the bay is gone.
        """
        after = _number("Last-Event-ID", last_event_id) if last_event_id else _number("after", asked.get("after"))
        found = await lookup.show(context, face, facts.caller, ident)
        return EventStream(context.events.subscribe(found.id, after, owner=facts.caller.project_id))


def _number(field: str, given: str | None) -> int | None:
    if given is None:
        return None
    if not _NUMBER.fullmatch(given):
        raise bad(field, given, "It is not a number of an event.")
    return int(given)


def _stream_document() -> dict[str, Any]:
    return {
        "description": "the stream; the data of `status`, `operation` and `gone` are JSON",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }


router = APIRouter()
add_events(router, BAY)
add_events(router, CLUSTER)
