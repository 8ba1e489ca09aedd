"""The stream of a bay's events, read: server-sent events (HTML standard), as far as our API sends them."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError

from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import GoneEvent, StatusEvent
from shared.openstack.errors import Rubbish, refused
from shared.openstack.session import CloudSession
from shared.openstack.transport import Flow

SILENCE: Final = 60.0
"""Seconds. The server sends a comment every fifteen."""

_LARGEST_EVENT: Final = 4 * 1024 * 1024
_LARGEST_REFUSAL: Final = 64 * 1024
_KINDS: Final[Mapping[str, type[BaseModel]]] = {"status": StatusEvent, "operation": OperationOut, "gone": GoneEvent}


@dataclass(frozen=True, slots=True)
class BayEvent:
    """Something that happened to a bay. `after` is where a stream that follows this one begins to miss nothing."""

    data: StatusEvent | OperationOut | GoneEvent
    after: int | None


async def read(
    session: CloudSession, service: str, path: str, headers: Mapping[str, str], after: int | None
) -> AsyncGenerator[BayEvent]:
    """The events until the server ends the stream.

    Raises:
        CloudError: refused (also `status` 503: too many streams), or the connection broke: go on with `after`.
    """
    params = {} if after is None else {"after": str(after)}
    async with _open(session, service, path, headers, params) as flow:
        async for kind, ident, data in _parse(service, flow.chunks):
            if kind not in _KINDS:
                continue  # of a later release
            after = int(ident) if ident.isdecimal() else after
            yield BayEvent(_validated(service, kind, data), after)


@asynccontextmanager
async def _open(
    session: CloudSession, service: str, path: str, headers: Mapping[str, str], params: Mapping[str, str]
) -> AsyncIterator[Flow]:
    """The open stream. A token that is refused is renewed once, as by `CloudSession.call`."""
    for last in (False, True):
        scoped = await session.tokens.token()
        url = (session.base_urls.get(service) or scoped.endpoints.url(service)) + path
        all_headers = {"Accept": "text/event-stream", "X-Auth-Token": scoped.token, **headers}
        async with session.transport.stream(service, url, headers=all_headers, params=params, silence=SILENCE) as flow:
            if flow.status == 200:
                yield flow
                return
            if flow.status == 401 and not last and session.tokens.invalidate(scoped.token):
                continue
            body = await _small(flow)
            raise refused(service, flow.status, flow.headers, body, resource=path, hide=scoped.token)


async def _small(flow: Flow) -> bytes:
    body = bytearray()
    async for chunk in flow.chunks:
        body += chunk
        if len(body) > _LARGEST_REFUSAL:
            break
    return bytes(body)


async def _parse(service: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str, str]]:
    """Name, id and data of each event that has data. Our server ends lines with a line feed alone."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text, ident = "", ""
    async for chunk in chunks:
        text += decoder.decode(chunk)
        if len(text) > _LARGEST_EVENT:
            raise Rubbish(service, "an event without an end")
        *blocks, text = text.split("\n\n")
        for block in blocks:
            kind, data = "message", []
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "id":
                    ident = value
            if data:
                yield kind, ident, "\n".join(data)


def _validated(service: str, kind: str, data: str) -> StatusEvent | OperationOut | GoneEvent:
    try:
        read_as = _KINDS[kind].model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise Rubbish(service, f"no event {kind}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None
    assert isinstance(read_as, StatusEvent | OperationOut | GoneEvent)  # noqa: S101 - the table has no others
    return read_as
