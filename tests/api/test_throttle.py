"""The throttle alone, around an application that answers when the test lets it: how many may be under way at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from starlette.types import Message, Receive, Scope, Send

from services.api.refusals import Refusals
from services.api.throttle import AT_ONCE, Accounts, Throttle

BUDGET = 20


class Gateway:
    """Answers each request with the next of `statuses`, else 201, and not while `open` is not set."""

    def __init__(self, *, seconds: float) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.statuses: list[int] = []
        refusals = Refusals(cast("object", None), every=1)  # type: ignore[arg-type]  # it only counts
        accounts = Accounts(most=BUDGET, seconds=seconds)
        self._throttle = Throttle(self._answer, accounts=accounts, refusals=lambda: refusals)

    async def ask(self, token: str = "one") -> int:
        """The status that the caller sees."""
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/certificates",
            "headers": [(b"x-auth-token", token.encode())],
        }
        told: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.append(message["status"])

        await self._throttle(scope, _nothing, send)
        (status,) = told
        return status

    async def ask_many(self, times: int) -> Counter[int]:
        """All at once; whoever gets in waits until all have asked."""
        self.open.clear()
        async with asyncio.TaskGroup() as asked:
            tasks = [asked.create_task(self.ask()) for _ in range(times)]
            await asyncio.sleep(0)  # each task runs up to where it waits
            self.open.set()
        return Counter(task.result() for task in tasks)

    @asynccontextmanager
    async def one_within(self) -> AsyncIterator[None]:
        """While a request is under way that takes long."""
        self.open.clear()
        task = asyncio.create_task(self.ask())
        await asyncio.sleep(0)
        waiting, self.open = self.open, asyncio.Event()
        self.open.set()
        yield
        waiting.set()
        await task

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await self.open.wait()
        status = self.statuses.pop() if self.statuses else 201
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_who_had_a_refusal_once_is_not_held_off_for_ever() -> None:
    """Also who is so busy that there is always a request under way."""
    gateway = Gateway(seconds=0.1)
    gateway.statuses = [400]
    assert await gateway.ask() == 400
    async with gateway.one_within():
        await asyncio.sleep(0.05)  # the refusal comes back after 5 ms
        assert await gateway.ask_many(3 * BUDGET) == {201: 3 * BUDGET}


async def test_while_a_refusal_is_known_a_burst_is_not_let_in_as_a_whole() -> None:
    gateway = Gateway(seconds=1e9)
    gateway.statuses = [400]
    assert await gateway.ask() == 400
    assert await gateway.ask_many(3 * BUDGET) == {201: BUDGET - 1, 429: 2 * BUDGET + 1}


async def test_a_first_burst_is_not_let_in_as_a_whole_either() -> None:
    gateway = Gateway(seconds=1e9)
    assert await gateway.ask_many(64) == {201: 64}
    gateway.statuses = [400] * 10 * AT_ONCE
    assert await gateway.ask_many(AT_ONCE + 50) == {400: AT_ONCE, 429: 50}
    assert await gateway.ask() == 429
    assert await gateway.ask("another") == 400
