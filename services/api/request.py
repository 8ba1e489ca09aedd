"""What the door has found out about a request before any handler sees it, and how handlers read the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar, cast

import orjson
from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from services.api.errors import TooLarge
from shared.contracts.http.base import WireBody, bad
from shared.contracts.http.values import boolean
from shared.domain.errors import InvalidInput
from shared.openstack.validate import Caller

STATE: Final = "jeroboam"
"""Key of a `Facts` in the ASGI scope."""

BASE_URL: Final = "jeroboam.base_url"
"""Key of the base URL, which public paths have too."""

LARGEST_BODY: Final = 256 * 1024
"""Bytes. A baymodel with hundreds of labels is far below."""

DEEPEST_BODY: Final = 32
"""Levels of lists and maps in a body. What is read needs five; Python itself gives up at some hundreds, in the midst
of a comparison or of a sentence about the value."""

Body = TypeVar("Body", bound=WireBody)


@dataclass(frozen=True)
class Facts:
    """Who asks, with which token, at which microversion (its minor part), and where we are as they see us."""

    caller: Caller
    token: str = field(repr=False)
    version: int
    base_url: str


async def facts(request: Request) -> Facts:
    """The facts of an authenticated request; every path but the public ones has them."""
    return cast("Facts", request.scope[STATE])


Known = Annotated[Facts, Depends(facts)]


def query(*allowed: str, blank: bool = False) -> Callable[[Request], Awaitable[dict[str, str]]]:
    """A dependency that reads the query; an empty value counts as absent, but with `blank`.

    Unknown keys are refused, and keys that come twice, which might mean either value.

    Dependencies are coroutines, because FastAPI sends plain functions through a thread, which costs more than they do.
    """

    async def read(request: Request) -> dict[str, str]:
        keys = [key for key, _ in request.query_params.multi_items()]
        for key in keys:
            if key not in allowed:
                raise InvalidInput(f'Unknown argument: "{key[:255]}"', field=key[:255])
            if keys.count(key) > 1:
                raise InvalidInput(f'Argument "{key}" is given more than once.', field=key)
        found = {key: value for key, value in request.query_params.items() if value or blank}
        for key, value in found.items():
            _no_nul(value, key)
        return found

    return read


def flag(asked: Mapping[str, str], name: str) -> bool:
    """Whether the query says yes to `name`; absent: no.

    Raises:
        InvalidInput: it says neither yes nor no.
    """
    if name not in asked:
        return False
    try:
        return boolean(asked[name])
    except ValueError as error:
        raise bad(name, asked[name], str(error)) from None


async def json_body(request: Request, argument: str, most: int = LARGEST_BODY) -> object:
    """The decoded body, whatever content type it claims (old clients claim none).

    Raises:
        InvalidInput: there is none, it is not JSON, or it is nested deeper than DEEPEST_BODY.
        TooLarge: it is longer than `most` bytes.
    """
    return json_of(await read_body(request, most), argument)


def json_of(read: bytes | bytearray, argument: str) -> object:
    """The JSON in a body that is read already; raises as `json_body` does."""
    if not read.strip():
        raise InvalidInput(f'Missing argument: "{argument}"', field=argument)
    try:
        data = orjson.loads(read)
    except orjson.JSONDecodeError:
        raise InvalidInput("Request is not in valid JSON format") from None
    if read.count(b"[") + read.count(b"{") > DEEPEST_BODY and _is_deep(data):  # counting is cheap, and nearly always no
        raise InvalidInput(f"The body is nested more than {DEEPEST_BODY} levels deep.", field=argument)
    if b"\\u0000" in read:  # the only way that JSON can hold it
        _no_nul(data, argument)
    return data


async def read_body(request: Request, most: int = LARGEST_BODY) -> bytearray:
    """The body as it came. Raises TooLarge for one of more than `most` bytes, unread where it says so itself."""
    too_large = TooLarge(f"The body has more than {most} bytes, which is the most that is taken.")
    claimed = request.headers.get("Content-Length", "")
    if claimed.isdecimal() and int(claimed[:20]) > most:
        raise too_large
    read = bytearray()
    try:
        async for chunk in request.stream():
            read += chunk
            if len(read) > most:
                raise too_large
    except ClientDisconnect:  # nobody hears this; without it the log would tell of a failure of ours
        raise InvalidInput("The connection ended before the body did.") from None
    return read


def _is_deep(data: object) -> bool:
    """Whether there is anything below DEEPEST_BODY levels, looked at level by level and so without recursion."""
    level: list[object] = [data]
    for _ in range(DEEPEST_BODY + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


async def wire_body(request: Request, kind: type[Body], most: int = LARGEST_BODY) -> Body:
    """The body as its model. Raises InvalidInput with the sentences of contract §1.7, TooLarge."""
    return kind.read(await json_body(request, kind.argument, most))


def _no_nul(data: object, field_name: str) -> None:
    """Refuse the character U+0000 anywhere: Postgres has no text with it."""
    if isinstance(data, str) and "\0" in data:
        raise InvalidInput(
            f"Invalid input for field/attribute {field_name}. Value: {data[:255]!r}. "
            "The character U+0000 is not allowed.",
            field=field_name,
        )
    if isinstance(data, dict):
        for key, value in data.items():
            _no_nul(key, field_name)
            _no_nul(value, key)
    elif isinstance(data, list):
        for value in data:
            _no_nul(value, field_name)
