"""What the routers share: who may, which stack, and answers in Heat's form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from typing_extensions import override

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.heat.engine import Engine, engine_of
from cloudsim.heat.errors import EntityNotFound, Forbidden, HeatFault, InvalidTenant, MessagingTimeout
from cloudsim.heat.stack import Stack
from cloudsim.http import base_url

READ, WRITE = frozenset({"reader", "member", "admin"}), frozenset({"member", "admin"})


class HeatRoute(APIRoute):
    """A route whose HeatFaults become Heat's error documents."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the translation around it."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except HeatFault as fault:
                return answer(fault.body(), fault.status)

        return handle


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer; outputs may have keys that are numbers."""
    return Response(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


class Access:
    """A caller in the project that the path names."""

    def __init__(self, request: Request, caller: Caller) -> None:
        self.request, self.caller = request, caller
        self.engine: Engine = engine_of(world_of(request))
        self.project_id = caller.project_id
        self.base = base_url(request)

    def may_write(self) -> None:
        """Raise Forbidden for callers who may only read."""
        if not self.caller.roles & WRITE:
            raise Forbidden("You are not authorized to use this action.")

    def stack(self, name: str, stack_id: str) -> Stack:
        """The stack of that name and id. Raises EntityNotFound, also when the two do not belong together."""
        try:
            stack = self.engine.find(self.project_id, stack_id)
        except EntityNotFound:
            raise EntityNotFound("Stack", name) from None
        if stack.id != stack_id or stack.name != name:
            raise EntityNotFound("Stack", name)
        return stack


async def access(request: Request, project_id: str, caller: ProjectCaller) -> Access:
    """The caller's access to the project in the path. Raises InvalidTenant and Forbidden.

    While the engine is dead, requests wait for the next one, as messages on Heat's bus do, and are given up after a
    minute.
    """
    if caller.project_id != project_id:
        raise InvalidTenant("You are not authorized to use the project in the path: the token is for another one.")
    if not caller.roles & READ:
        raise Forbidden("You are not authorized to use orchestration.")
    may = Access(request, caller)
    if not may.engine.alive.is_set():
        await _next_engine(may.engine)
    return may


async def _next_engine(engine: Engine) -> None:
    alive, given_up = (asyncio.ensure_future(wait) for wait in (engine.alive.wait(), engine.world.clock.sleep(60)))
    try:
        await asyncio.wait({alive, given_up}, return_when=asyncio.FIRST_COMPLETED)
        if not engine.alive.is_set():
            raise MessagingTimeout("Timed out waiting for a reply to message ID 0")
    finally:
        alive.cancel()
        given_up.cancel()


MayAccess = Annotated[Access, Depends(access)]


def flag(request: Request, name: str) -> bool:
    """A yes or no of the query; a name without value is a yes."""
    value = request.query_params.get(name)
    return value is not None and value.lower() not in {"false", "0", "no"}
