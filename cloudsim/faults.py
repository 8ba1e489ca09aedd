"""Faults: what goes wrong between a client and the cloud, by rule, for the n-th matching request.

Kinds:

- `status`: answer an error in the service's own shape. `rubbish`: answer 200 with a body that is not JSON. With
  `effect: true` the request is handled first and its true answer thrown away.
- `hang`: hold the request for `seconds`, do nothing, answer 504.
- `drop`: cut the connection before anything happens.
- `answer_lost`: handle the request, then cut the connection without a byte of answer: the effect is kept.
- `late`: handle the request after `effect_at` seconds and answer after `answer_at`, both from its arrival.
- `lose_stack`: make the stack `stack` (name or id) vanish silently, then handle the request.

Seconds are simulated ones. The middleware stands around everything but `/control`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cloudsim.errors import shape

if TYPE_CHECKING:
    from cloudsim.world import World

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Where the server's protocol puts its transport, so that a fault can cut the connection.
TRANSPORT = "cloudsim.transport"
_RUBBISH = b"<html><body>upstream connect error or disconnect/reset before headers</body></html>"
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class AnswerLostError(ConnectionError):
    """The connection was cut by a fault, where there is no socket to cut (an app called in-process)."""


class Rule(BaseModel):
    """One fault. It strikes `count` requests (0: all) that match, beginning with the `nth`, counted from 1."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "rubbish", "hang", "drop", "answer_lost", "late", "lose_stack"]
    service: str | None = None
    method: str | None = None
    path: str = ".*"
    nth: int = Field(1, ge=1)
    count: int = Field(1, ge=0)
    status: int = Field(503, ge=400, le=599)
    message: str = "Simulated fault."
    retry_after: int | None = None
    effect: bool = False
    seconds: float = Field(3600, ge=0)
    effect_at: float = Field(0, ge=0)
    answer_at: float = Field(0, ge=0)
    stack: str | None = None

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        if self.kind == "lose_stack" and not self.stack:
            raise ValueError("lose_stack needs 'stack'")
        if self.kind == "late" and self.answer_at < self.effect_at:
            raise ValueError("answer_at must not be before effect_at")
        return self


class Planned:
    """A rule with how many requests it has seen and how many it has struck."""

    __slots__ = ("id", "rule", "seen", "struck")

    def __init__(self, plan_id: int, rule: Rule) -> None:
        self.id, self.rule, self.seen, self.struck = plan_id, rule, 0, 0

    def strikes(self, service: str, method: str, path: str) -> bool:
        """Count a request and say whether the rule hits it."""
        rule = self.rule
        if (rule.service or service) != service or (rule.method or method).upper() != method:
            return False
        if re.search(rule.path, path) is None:
            return False
        self.seen += 1
        return self.seen >= rule.nth and (rule.count == 0 or self.struck < rule.count)

    def shown(self) -> dict[str, Any]:
        """The rule as the control endpoint shows it."""
        return {"id": self.id, **self.rule.model_dump(exclude_none=True), "seen": self.seen, "struck": self.struck}


class FaultPlan:
    """All rules. Every matching rule counts a request; the first that is due strikes."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []
        self._next = 1

    def add(self, rule: Rule) -> Planned:
        """Put a rule at the end."""
        planned = Planned(self._next, rule)
        self._next += 1
        self.planned.append(planned)
        return planned

    def choose(self, service: str, method: str, path: str) -> Rule | None:
        """The rule that strikes this request, if any."""
        due = [p for p in self.planned if p.strikes(service, method, path)]
        if not due:
            return None
        due[0].struck += 1
        return due[0].rule


def template(path: str) -> str:
    """A path with ids and stack names replaced, for counting."""
    path = re.sub(r"(/stacks/)(?!detail$|preview$|\{)[^/]+", r"\1{stack}", _ID.sub("{id}", path))
    return re.sub(r"(/resources/)[^/]+", r"\1{resource}", path)


def project_in(path: str) -> str:
    """The project id that an orchestration or volume path carries; empty for other paths."""
    parts = path.split("/", 4)
    return parts[3] if len(parts) > 3 and parts[1] in {"orchestration", "volume"} else ""


class FaultMiddleware:
    """Counts every request outside /control, and applies the fault plan to it."""

    def __init__(self, app: App, world: World) -> None:
        self.app, self.world = app, world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/control"):
            await self.app(scope, receive, send)
            return
        service, method = path.split("/", 2)[1], scope["method"]
        self.world.requests[service, method, template(path), project_in(path)] += 1
        rule = self.world.faults.choose(service, method, path)
        if rule is None:
            await self.app(scope, receive, send)
        else:
            await self._strike(rule, scope, receive, send)

    async def _strike(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        # The body is read first: once a client has gone away the server would not give it to us any more.
        body = await _read(receive)
        clock = self.world.clock
        match rule.kind:
            case "status" | "rubbish":
                if rule.effect:
                    await self._handle(scope, body)
                await _reply(send, *_wrong_answer(rule, scope["path"]))
            case "hang":
                await clock.sleep(rule.seconds)
                await _reply(send, 504, json.dumps(shape(scope["path"], 504, rule.message)).encode(), ())
            case "drop":
                await _cut(scope, receive)
            case "answer_lost":
                await self._handle(scope, body)
                await _cut(scope, receive)
            case "late":
                await clock.sleep(rule.effect_at)
                messages = await self._handle(scope, body)
                await clock.sleep(rule.answer_at - rule.effect_at)
                for message in messages:
                    await send(message)
            case "lose_stack":
                await lose_stack(self.world, rule.stack or "")
                await self.app(scope, _replay(body, receive), send)

    async def _handle(self, scope: Scope, body: bytes) -> list[Message]:
        """Let the app work and keep its answer to ourselves."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, _replay(body, _never), keep)
        return messages


async def lose_stack(world: World, stack: str) -> bool:
    """Make a stack (by id or name) vanish without a trace of its own doing; False when there is none."""
    named = world.store.find("stack", stack_name=stack) or world.store.find("stack", name=stack)
    found = world.store.get("stack", stack) or next(iter(named), None)
    if found is None or world.on_lose_stack is None:
        return False
    outcome = world.on_lose_stack(found.id)
    if inspect.isawaitable(outcome):
        await outcome
    return True


def new_counter() -> Counter[tuple[str, str, str, str]]:
    """Requests by service, method, path template and project in the path."""
    return Counter()


def _wrong_answer(rule: Rule, path: str) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    if rule.kind == "rubbish":
        return 200, _RUBBISH, ()
    headers = () if rule.retry_after is None else (("retry-after", str(rule.retry_after)),)
    return rule.status, json.dumps(shape(path, rule.status, rule.message)).encode(), headers


async def _reply(send: Send, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    pairs = (("content-type", "application/json"), ("content-length", str(len(body))), *headers)
    raw = [(name.encode(), value.encode()) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(chunks)


def _replay(body: bytes, after: Receive) -> Receive:
    """A receive that gives the body that was read already, then what `after` gives."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await after()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _never() -> Message:
    """A client that neither sends more nor goes away."""
    forever: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await forever


async def _cut(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer, and return only when the server knows it, so that it writes no 500."""
    transport = scope.get("extensions", {}).get(TRANSPORT, {}).get("transport")
    if transport is None:
        raise AnswerLostError("connection cut by a simulated fault")
    transport.abort()
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
