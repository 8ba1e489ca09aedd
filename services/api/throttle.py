"""Who sends many certificate requests that are refused is not listened to for a while, before anything is read.

Outermost of all: before the token is validated, the path routed, the body read. So a flood of bad CSRs costs an answer
of 429 each, and nobody else notices.

Each caller has an account of refusals, which fills up again evenly. Whose account is it?

- That of the token (by its hash). Behind one address many people may sit (NAT, proxies), so an address is never blamed
  for a request that shows a token: a good caller at the address of a bad one is served.
- That of the token's user too, with more room: many tokens of one user do not make many accounts, and one bad program
  does not take away the service from the user's others.
- That of the address where there is no token at all; such a request would be refused anyway.

A token that nobody knows costs its own account only: who has a valid one gets in, whatever others try.
What is kept is bounded; what was not heard of for longest goes first. Who has no refusals has no account; whoever has
some may have only as many requests under way as there is room for, so that a burst is not let in as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api import microversion
from services.api.errors import TooMany, render
from services.api.refusals import THROTTLED, Refusals
from services.api.request import STATE, Facts
from shared.db.repositories.refusals import Refusal

_PATHS: Final = ("/v1/certificates", "/certificates")
_KEPT: Final = 10_000
_USER_SHARE: Final = 5
"""A user may have so many times the refusals of one token."""


@dataclass
class _Account:
    """Refusals that there is room for, as of `at` (the loop's time); who it belongs to as far as is known."""

    room: float
    at: float
    most: int
    under_way: int = 0
    user: str = ""
    project: str = ""


class Accounts:
    """Accounts by key: `most` refusals within `seconds`, which come back evenly."""

    def __init__(self, *, most: int, seconds: float, kept: int = _KEPT) -> None:
        self._most = most
        self._seconds = seconds
        self._kept = kept
        self._accounts: OrderedDict[bytes, _Account] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, key: bytes, now: float) -> list[_Account]:
        """The account of the key and, where one is known, of its user; those that are full again are forgotten."""
        own = self._look(key, now)
        user = None if own is None else self._look(_user_key(own.user), now)
        return [one for one in (own, user) if one is not None]

    def wait(self, accounts: list[_Account]) -> float:
        """Seconds until there is room in all of them, 0 when there is."""
        return max((self._wait(one) for one in accounts), default=0.0)

    def charge(self, key: bytes, user: str, project: str, now: float) -> None:
        """One more refusal of the key, and of the user if known."""
        own = self._open(key, self._most, now)
        own.room = max(own.room - 1, 0)
        if user:
            own.user, own.project = user, project
            of_user = self._open(_user_key(user), self._most * _USER_SHARE, now)
            of_user.room = max(of_user.room - 1, 0)

    def _wait(self, account: _Account) -> float:
        missing = 1 + account.under_way - account.room
        return max(missing * self._seconds / account.most, 0.0)

    def _look(self, key: bytes, now: float) -> _Account | None:
        account = self._accounts.get(key)
        if account is None:
            return None
        account.room = min(account.room + (now - account.at) * account.most / self._seconds, account.most)
        account.at = now
        if account.room >= account.most and not account.under_way:
            del self._accounts[key]
            return None
        self._accounts.move_to_end(key)
        return account

    def _open(self, key: bytes, most: int, now: float) -> _Account:
        account = self._look(key, now)
        if account is None:
            account = self._accounts[key] = _Account(most, now, most)
            if len(self._accounts) > self._kept:
                self._accounts.popitem(last=False)
        return account


class Throttle:
    """Wraps the application. `refusals` is asked for at each use, since it lives as long as the process runs."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts, refusals: Callable[[], Refusals]) -> None:
        self._app = app
        self._accounts = accounts
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the lifespan, which passes through)."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") not in _PATHS:
            await self._app(scope, receive, send)
            return
        key, now = _key(scope), asyncio.get_running_loop().time()
        accounts = self._accounts.of(key, now)
        wait = self._accounts.wait(accounts)
        if wait > 0:
            await self._refuse(accounts[0], wait, scope, receive, send)
            return
        for one in accounts:
            one.under_way += 1
        try:
            await self._app(scope, receive, _Watching(send, lambda: self._charge(scope, key)))
        finally:
            for one in accounts:
                one.under_way -= 1

    def _charge(self, scope: Scope, key: bytes) -> None:
        """The door has left word in the scope on who that was, if it got so far."""
        facts = scope.get(STATE)
        user, project = (facts.caller.user_id, facts.caller.project_id) if isinstance(facts, Facts) else ("", "")
        self._accounts.charge(key, user, project, asyncio.get_running_loop().time())

    async def _refuse(self, account: _Account, wait: float, scope: Scope, receive: Receive, send: Send) -> None:
        if account.user:
            self._refusals().note(Refusal("", account.project, account.user, THROTTLED))
        answer = render(
            TooMany(
                "Too many of your certificate requests were refused. Mend what the refusals say, and ask again later.",
                retry_after=math.ceil(wait),
            )
        )
        answer.headers.update({"X-OpenStack-Request-ID": f"req-{uuid4()}", **microversion.range_headers()})
        await answer(scope, receive, send)


class _Watching:
    """`send` that tells of an answer which refuses, as it begins: a caller who has it has been charged."""

    def __init__(self, send: Send, refused: Callable[[], None]) -> None:
        self._send = send
        self._refused = refused

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
            self._refused()
        await self._send(message)


def _key(scope: Scope) -> bytes:
    token = Headers(scope=scope).get("X-Auth-Token")
    if token:
        return hashlib.sha256(token.encode()).digest()
    host, _ = scope.get("client") or ("", 0)
    return b"address " + host.encode()


def _user_key(user: str) -> bytes:
    return b"user " + user.encode()
