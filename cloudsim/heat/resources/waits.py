"""Wait handles and conditions.

A handle's `data` maps signal ids to (status, reason, data); a condition waits for enough of them.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from cloudsim.heat.errors import ResourceFailure
from cloudsim.heat.resources.base import Kind, Props, Waiting, physical_name
from cloudsim.heat.stack import Resource

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

SIGNAL_PATH = "/orchestration/v1/signal/"


class Signal(NamedTuple):
    """One signal as it was received."""

    status: str
    reason: str
    data: Any


class HandleState:
    """A handle's one-time id, its signals, and who waits for more."""

    __slots__ = ("signals", "token", "waiters")

    def __init__(self, token: str) -> None:
        self.token = token
        self.signals: dict[str, Signal] | None = None
        self.waiters: list[asyncio.Future[None]] | None = None


class WaitHandle(Kind):
    """OS::Heat::WaitConditionHandle. The one-time id in its address is all that a signal needs."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Make the address; what is known by the id is a user of Heat's own."""
        resource.physical_id = uuid.uuid4().hex
        resource.data = HandleState(secrets.token_hex(16))
        engine.handles[resource.data.token] = resource
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """The address is void."""
        if resource.data is not None:
            engine.handles.pop(resource.data.token, None)
        return None

    @override
    def attribute(self, resource: Resource, path: Sequence[Any]) -> Any:
        """`endpoint`, `token`, `curl_cli`."""
        name, token = path[0], resource.data.token
        endpoint = f"{resource.stack.root.base_url}{SIGNAL_PATH}{token}"
        if name == "curl_cli":
            headers = f"-H 'X-Auth-Token: {token}' -H 'Content-Type: application/json' -H 'Accept: application/json'"
            return f"curl -i -X POST {headers} {endpoint}"
        return {"endpoint": endpoint, "token": token, "signal": json.dumps({"endpoint": endpoint})}.get(name)


def receive(handle: Resource, details: Mapping[str, Any]) -> str:
    """Take a signal and wake who waits for it. Returns the reason that Heat notes."""
    state: HandleState = handle.data
    signals = state.signals = state.signals or {}
    signal_id = str(details.get("id") or len(signals) + 1)
    signal = Signal(
        sys.intern(str(details.get("status") or "SUCCESS").upper()),
        sys.intern(str(details.get("reason") or f"Signal {signal_id} received")),
        details.get("data"),
    )
    signals[signal_id] = signal
    note = sys.intern(f"Signal: status:{signal.status} reason:{signal.reason}")
    handle.stack.note(handle, "SIGNAL", "COMPLETE", note)
    for waiter in state.waiters or ():
        if not waiter.done():
            waiter.set_result(None)
    return signal.reason


class WaitCondition(Kind):
    """OS::Heat::WaitCondition: `count` successes, or one failure, or `timeout` seconds."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Wait."""
        resource.physical_id = physical_name(resource)
        handle = self._handle(resource, props["handle"])
        resource.data = handle
        count, timeout = int(props.get("count") or 1), float(props["timeout"])
        return lambda: _wait(engine, handle, count, timeout)

    @staticmethod
    def _handle(resource: Resource, wanted: Any) -> Resource:
        for name in resource.requires:
            other = resource.stack.resources.get(name)
            if other is not None and isinstance(other.data, HandleState) and other.physical_id == wanted:
                return other
        for other in resource.stack.engine.handles.values():
            if other.physical_id == wanted and other.stack.root is resource.stack.root:
                return other
        raise ResourceFailure("ValueError", f"{wanted} is not a wait condition handle of this stack")

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """`data`: JSON text of signal ids and their data."""
        if name != "data" or resource.data is None:
            return None
        return json.dumps({key: signal.data for key, signal in (resource.data.data.signals or {}).items()})


async def _wait(engine: Engine, handle: Resource, count: int, timeout: float) -> None:  # noqa: ASYNC109  (simulated seconds)
    state: HandleState = handle.data
    loop = asyncio.get_running_loop()
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        _wake(state.waiters or ())

    timer = engine.world.clock.call_later(timeout, expire)
    try:
        while not _enough(state, count):
            if late:
                have = len(state.signals or ())
                raise ResourceFailure("WaitConditionTimeout", f"{have} of {count} received")
            waiter = loop.create_future()
            state.waiters = [*(state.waiters or ()), waiter]
            try:
                await waiter
            finally:
                state.waiters = [one for one in state.waiters if one is not waiter] or None
    finally:
        timer.cancel()


def _wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _enough(state: HandleState, count: int) -> bool:
    signals = (state.signals or {}).values()
    failed = [signal.reason for signal in signals if signal.status != "SUCCESS"]
    if failed:
        raise ResourceFailure("WaitConditionFailure", ";".join(failed))
    return len(signals) >= count
