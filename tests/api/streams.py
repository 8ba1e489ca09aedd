"""Reading a stream of server-sent events, one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 20.0
"""Seconds after which something that should come did not."""


@dataclass
class Told:
    """One event, or what else stood between two blank lines."""

    kind: str = ""
    id: str | None = None
    data: Any = None
    comment: bool = False


def parse(block: str) -> Told:
    fields = [line.partition(":") for line in block.split("\n")]
    values = {name: value.removeprefix(" ") for name, _colon, value in fields if name}
    data = "\n".join(value.removeprefix(" ") for name, _colon, value in fields if name == "data")
    return Told(
        kind=values.get("event", ""),
        id=values.get("id"),
        data=json.loads(data) if data else None,
        comment=not any(name for name, _colon, _value in fields),
    )


class Watching:
    """The events of an open stream, in their order."""

    def __init__(self, chunks: AsyncIterator[str], headers: httpx.Headers) -> None:
        self.headers = headers
        self._chunks = chunks
        self._text = ""

    async def next(self) -> Told | None:
        """The next event; None at the stream's end."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while "\n\n" not in self._text:
                    chunk = await anext(self._chunks, None)
                    if chunk is None:
                        assert self._text == "", "the stream broke off within an event"
                        return None
                    self._text += chunk
                block, _, self._text = self._text.partition("\n\n")
                told = parse(block)
                if told.kind:
                    return told

    async def until(self, kind: str, /, **wanted: object) -> Told:
        """The next event of that kind with these values."""
        while told := await self.next():
            if told.kind == kind and all(told.data[key] == value for key, value in wanted.items()):
                return told
        raise AssertionError(f"the stream ended without {kind} {wanted}")
