"""Who sends many certificate requests that are refused is not listened to for a while, before anything is read.

Outermost of all: before the token is validated, the path routed, the body read. So a flood of bad CSRs costs an answer
of 429 each, and nobody else notices.

Each caller has an account of refusals, which fills up again evenly. Whose account is it?

- That of the token (by its hash). Behind one address many people may sit (NAT, proxies), so an address is never blamed
  for a request that shows a token: a good caller at the address of a bad one is served.
- That of the token's user too, with more room: many tokens of one user do not make many accounts, and one bad program
  does not take away the service from the user's others. Whose a token is that has no refusals yet is known behind the
  door only, so there is a second look there, still before the body is read.
- That of the address where there is no token at all; such a request would be refused anyway.

A token that nobody knows costs its own account only: who has a valid one gets in, whatever others try.

Who has no refusals has no account, and who has them all back neither, whatever is under way. While there is one, only
as many requests may be under way as there is room for; without one so many that no good caller meets the limit. So a
burst is not let in as a whole, not even the first one. What is kept is bounded: accounts by number, what was not heard
of for longest goes first; requests under way are counted only while they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
"""A user may have so many times the refusals, and requests under way, of one token."""

AT_ONCE: Final = 256
"""Requests of a token without refusals that may be under way. Four times what the busiest good caller is known to have
(`benchmarks/signing`), and few enough to be refused without anybody noticing."""


@dataclass
class _Account:
    """Refusals that there is room for, as of `at` (the loop's time); who it belongs to as far as is known."""

    room: float
    at: float
    most: int
    user: str = ""
    project: str = ""


class Accounts:
    """Accounts by key: `most` refusals within `seconds`, which come back evenly. `now` is the loop's time."""

    def __init__(self, *, most: int, seconds: float, kept: int = _KEPT) -> None:
        self._most = most
        self._seconds = seconds
        self._kept = kept
        self._accounts: OrderedDict[bytes, _Account] = OrderedDict()
        self._under_way: Counter[bytes] = Counter()

    def owner(self, key: bytes) -> tuple[str, str]:
        """User and project whose the key is, as far as its refusals have told; else empty."""
        account = self._accounts.get(key)
        return ("", "") if account is None else (account.user, account.project)

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until one more request of the token or address may come, 0: now."""
        user, _ = self.owner(key)
        return max(self._wait(key, AT_ONCE, now), self.wait_of_user(user, now) if user else 0.0)

    def wait_of_user(self, user: str, now: float) -> float:
        """The same for all tokens of a user together."""
        return self._wait(user_key(user), AT_ONCE * _USER_SHARE, now)

    @contextmanager
    def under_way(self, key: bytes) -> Iterator[None]:
        """While a request of the key (of a user: `user_key`) is under way."""
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def charge(self, key: bytes, user: str, project: str, now: float) -> None:
        """One more refusal of the key, and of the user if known."""
        own = self._open(key, self._most, now)
        own.room = max(own.room - 1, 0)
        if user:
            own.user, own.project = user, project
            of_user = self._open(user_key(user), self._most * _USER_SHARE, now)
            of_user.room = max(of_user.room - 1, 0)

    def _wait(self, key: bytes, at_once: int, now: float) -> float:
        account, under_way = self._look(key, now), self._under_way[key]
        if account is None:
            return 0.0 if under_way < at_once else 1.0
        missing = min(1 + under_way, account.most) - account.room  # with all of it back there is no account any more
        return max(missing * self._seconds / account.most, 0.0)

    def _look(self, key: bytes, now: float) -> _Account | None:
        account = self._accounts.get(key)
        if account is None:
            return None
        account.room = min(account.room + (now - account.at) * account.most / self._seconds, account.most)
        account.at = now
        if account.room >= account.most:
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
    """Wraps the door. `refusals` is asked for at each use, since it lives as long as the process runs."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts, refusals: Callable[[], Refusals]) -> None:
        self._app = app
        self._accounts = accounts
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the lifespan, which passes through)."""
        if not _is_meant(scope):
            await self._app(scope, receive, send)
            return
        key = _key(scope)
        wait = self._accounts.wait(key, _now())
        if wait > 0:
            await self._refuse(key, wait, scope, receive, send)
            return
        with self._accounts.under_way(key):
            await self._app(scope, receive, _Watching(send, lambda: self._charge(scope, key)))

    def _charge(self, scope: Scope, key: bytes) -> None:
        """The door has left word in the scope on who that was, if it got so far."""
        self._accounts.charge(key, *_caller(scope), _now())

    async def _refuse(self, key: bytes, wait: float, scope: Scope, receive: Receive, send: Send) -> None:
        user, project = self._accounts.owner(key)
        if user:
            self._refusals().note(Refusal("", project, user, THROTTLED))
        answer = render(_too_many(wait))
        answer.headers.update({"X-OpenStack-Request-ID": f"req-{uuid4()}", **microversion.range_headers()})
        await answer(scope, receive, send)


class UserThrottle:
    """Wraps the application behind the door, where the caller is known: the user's account, whichever token is shown.

    A refusal is raised, and the door answers; it costs no account anything, as `Throttle`'s own do not.
    """

    def __init__(self, app: ASGIApp, *, accounts: Accounts, refusals: Callable[[], Refusals]) -> None:
        self._app = app
        self._accounts = accounts
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the lifespan, which passes through). Raises TooMany."""
        user, project = _caller(scope)
        if not user or not _is_meant(scope):
            await self._app(scope, receive, send)
            return
        wait = self._accounts.wait_of_user(user, _now())
        if wait > 0:
            self._refusals().note(Refusal("", project, user, THROTTLED))
            raise _too_many(wait)
        with self._accounts.under_way(user_key(user)):
            await self._app(scope, receive, send)


class _Watching:
    """`send` that tells of an answer which refuses, as it begins: a caller who has it has been charged."""

    def __init__(self, send: Send, refused: Callable[[], None]) -> None:
        self._send = send
        self._refused = refused

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and 400 <= message["status"] < 500 and message["status"] != 429:
            self._refused()
        await self._send(message)


def user_key(user: str) -> bytes:
    """The key of all tokens of a user together."""
    return b"user " + user.encode()


def _key(scope: Scope) -> bytes:
    token = Headers(scope=scope).get("X-Auth-Token")
    if token:
        return hashlib.sha256(token.encode()).digest()
    host, _ = scope.get("client") or ("", 0)
    return b"address " + host.encode()


def _caller(scope: Scope) -> tuple[str, str]:
    """User and project, empty where the door has not let them in (yet)."""
    facts = scope.get(STATE)
    return (facts.caller.user_id, facts.caller.project_id) if isinstance(facts, Facts) else ("", "")


def _is_meant(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/") in _PATHS


def _too_many(wait: float) -> TooMany:
    return TooMany(
        "Too many of your certificate requests were refused, or are under way at once. Mend what the refusals say, and "
        "ask again later.",
        retry_after=math.ceil(wait),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
