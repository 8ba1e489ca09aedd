"""/v1/dead_letters: messages that could not be handled, for administrators. Not in Magnum."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, query
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import NO_BODY, PAGE, UUID_EXAMPLE, parameters, shown
from services.api.usecases import dead_letters
from shared.contracts.http.dead_letters import DeadLetterFull, DeadLetterList

router = APIRouter(prefix="/v1/dead_letters", tags=["dead_letters"])

Asked = Annotated[dict[str, str], Depends(query("marker", "limit", *dead_letters.FILTERS))]
Ident = Annotated[str, Path(description="id of the letter", examples=[UUID_EXAMPLE])]

_BRIEF: Final[dict[str, Any]] = {
    "id": UUID_EXAMPLE,
    "service": "provisioner",
    "queue": "provisioner",
    "name": "bay.authorities.ready",
    "version": 1,
    "message_id": "5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d",
    "reason": "failed 5 times, last: OSError: the database was away",
    "created_at": "2026-11-22T14:21:07.104412+00:00",
    "resent_at": "2026-11-22T15:10:36.901234+00:00",
}
_FULL: Final = {
    **_BRIEF,
    "body": '{"operation_id":"8a1e5f0c-2f53-4ac0-9a2e-7c7a3e3a9b10","bay_id":"0c7d5f8e-8a0b-4c55-9a62-6f7a7bd0d1c3"}',
    "headers": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    "obstacle": "It was sent again at 2026-11-22T15:10:36.901234+00:00: if it died once more, there is another letter "
    "about it.",
}


def _filter(name: str, description: str, example: object, kind: str = "string") -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": kind},
        "example": example,
    }


_QUERY: Final = (
    *(one for one in PAGE if one["name"] in ("marker", "limit")),
    _filter("service", "only those that this service set aside", "provisioner"),
    _filter("name", "only those of this message", "bay.authorities.ready"),
    _filter("resent", "only those that were sent again, or only those that were not", example=False, kind="boolean"),
)


@router.get(
    "",
    responses={200: shown(DeadLetterList, {"dead_letters": [_BRIEF]})},
    openapi_extra=parameters(*_QUERY),
    summary="List dead letters",
)
async def list_letters(context: Ctx, facts: Known, asked: Asked) -> Response:
    """Messages that could not be handled, newest first, for administrators."""
    page = await dead_letters.list_page(context, facts, asked)
    found: dict[str, object] = {"dead_letters": [asdict(one) for one in page.letters]}
    return answer(found | ({"next": f"{facts.base_url}/v1/dead_letters?{page.query}"} if page.query else {}))


@router.get(
    "/{ident}",
    responses={200: shown(DeadLetterFull, _FULL)},
    dependencies=[NoQuery],
    summary="Show a dead letter",
)
async def show(context: Ctx, facts: Known, ident: Ident) -> Response:
    """One message that could not be handled, whole, and whether it can be sent again; for administrators."""
    return answer(await dead_letters.show(context, facts, ident))


@router.post(
    "/{ident}/actions/resend",
    status_code=202,
    responses={202: shown(DeadLetterFull, _FULL, "It is on its way again.")},
    openapi_extra=NO_BODY,
    dependencies=[NoQuery],
    summary="Send a dead letter again",
)
async def resend(context: Ctx, facts: Known, ident: Ident) -> Response:
    """Publish the message once more under its own id, for administrators; 409 where that cannot help.

    Seldom needed: a service finds its operations by itself. When the message dies again, there is another letter.
    """
    return answer(await dead_letters.resend(context, facts, ident), 202)


@router.delete("/{ident}", status_code=204, dependencies=[NoQuery], summary="Drop a dead letter")
async def drop(context: Ctx, facts: Known, ident: Ident) -> Response:
    """Forget a message that could not be handled, for administrators."""
    await dead_letters.drop(context, facts, ident)
    return Response(status_code=204)
