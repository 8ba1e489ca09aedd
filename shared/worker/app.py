"""A worker process: the bus, the relay, the sweeper and the steps of one service, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus import make_bus
from shared.bus.notifications import open_notifier
from shared.bus.port import Bus, DeadLetter
from shared.contracts.base import Message
from shared.contracts.bay import OperationMessage
from shared.db.engine import NotifyAs, make_engine
from shared.db.repositories import dead_letters
from shared.domain.operation import Service
from shared.runtime import failpoint, logging, telemetry
from shared.runtime.settings import CommonSettings
from shared.worker import heartbeat
from shared.worker.dispatch import Dispatcher
from shared.worker.outcome import DepsT, StepFunction
from shared.worker.readiness import Readiness
from shared.worker.relay import OutboxRelay
from shared.worker.sweeper import Sweeper

_log = structlog.get_logger()

CONCURRENCY = 16
"""Steps under way at once in one process, by messages and again by timers; they mostly wait for the cloud.

No step holds one database connection while it asks for another, so the pool may be smaller than the concurrency.
"""

Handler = Callable[[Any], Awaitable[None]]
Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Wiring:
    """What a process has, for those who build a service's dependencies."""

    engine: AsyncEngine
    bus: Bus
    wake: Callable[[], None]
    """To be called when something became due without a step's doing."""


@dataclass(frozen=True)
class WorkerApp(Generic[DepsT]):
    """One worker service.

    `deps` builds the service's dependencies inside the running loop and closes them at the end. `handlers` take the
    messages that are not about operations. `background` gives loops that run beside, for as long as the process.
    `concurrency`: messages that are handled at once; more than there are connections, where handlers share them.
    """

    service: Service
    settings: CommonSettings
    steps: Mapping[str, StepFunction[DepsT]]
    deps: Callable[[Wiring], contextlib.AbstractAsyncContextManager[DepsT]]
    handlers: Mapping[type[Message], Callable[[DepsT, Any], Awaitable[None]]] = field(default_factory=dict)
    background: Callable[[DepsT], list[Background]] = lambda _deps: []
    concurrency: int = CONCURRENCY

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        What is under way gets some seconds to end. What does not end keeps its lease, because its last call may still
        be on its way to the cloud; another replica takes it over when lease and quarantine have passed.
        """
        logging.configure(self.service.value, self.settings.log_level)
        failpoint.configure(self.settings.failpoint_dir)
        telemetry.start_metrics_server(self.settings.metrics_port, self.settings.metrics_host)
        asyncio.run(self._main())

    async def _main(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        notifying = open_notifier(self.settings, self.service.value)
        sweeper = Sweeper(timing=self.settings.timing, concurrency=CONCURRENCY)
        async with self._wired(sweeper.wake) as wiring, notifying as notifier, self.deps(wiring) as deps:
            relay = OutboxRelay(wiring.engine, wiring.bus, service=self.service.value, notifier=notifier)

            def committed() -> None:
                relay.wake()
                sweeper.wake()

            dispatcher = Dispatcher(
                self.service, wiring.engine, self.settings.timing, self.steps, deps, committed=committed
            )
            await wiring.bus.consume(self.service.value, self._handler(dispatcher, deps), concurrency=self.concurrency)
            await wiring.bus.start()
            readiness = Readiness(self.settings.ready_file, wiring.engine, wiring.bus, self.settings.timing.sweep)
            loops: list[Background] = [
                relay.run,
                lambda: sweeper.run(dispatcher),
                readiness.run,
                self._heartbeat(wiring.engine),
                *self.background(deps),
            ]
            tasks = [asyncio.create_task(_forever(loop)) for loop in loops]
            await stop.wait()
            # No new work first, then what runs; only afterwards does what it uses close (deps, engine).
            await asyncio.gather(sweeper.drain(), wiring.bus.close())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            readiness.withdraw()

    def _heartbeat(self, engine: AsyncEngine) -> Background:
        every = heartbeat.EVERY * self.settings.time_scale
        return lambda: heartbeat.run(engine, self.service, self.settings.host_or_machine, every)

    @contextlib.asynccontextmanager
    async def _wired(self, wake: Callable[[], None]) -> AsyncIterator[Wiring]:
        notify = notify_as(self.settings, self.service.value)
        engine = make_engine(self.settings.database_url, pool_size=CONCURRENCY, notify=notify)
        bus = make_bus(
            amqp_url=self.settings.amqp_url,
            database_url=self.settings.database_url,
            service=self.service.value,
            on_dead=lambda letter: write_dead_letter(engine, self.service.value, letter),
            redelivery_seconds=30.0 * self.settings.time_scale,
        )
        try:
            yield Wiring(engine, bus, wake)
        finally:
            await bus.close()
            await engine.dispose()

    def _handler(self, dispatcher: Dispatcher[DepsT], deps: DepsT) -> Handler:
        async def handle(message: Message) -> None:
            if (own := self.handlers.get(type(message))) is not None:
                await own(deps, message)
            elif isinstance(message, OperationMessage):
                await dispatcher.look_at(message.operation_id)

        return handle


def notify_as(settings: CommonSettings, service: str) -> NotifyAs | None:
    """As whom a process tells of the changes that it makes; None when notifications are off."""
    return NotifyAs(service, settings.host_or_machine) if settings.notifications else None


async def write_dead_letter(engine: AsyncEngine, service: str, letter: DeadLetter) -> None:
    """Write a dead letter to its table; the bus acknowledges the message only after this returned."""
    raw = letter.envelope_raw
    async with engine.begin() as conn:
        await dead_letters.add(
            conn,
            service=service,
            queue=letter.queue,
            message_id=raw.id or None,
            name=raw.name or None,
            version=int(raw.version) if re.fullmatch("[0-9]{1,8}", raw.version) else None,
            body=raw.body.decode(errors="replace"),
            headers=raw.headers,
            reason=letter.reason,
        )
    _log.warning("dead letter", queue=letter.queue, name=raw.name, reason=letter.reason)


async def _forever(loop: Background) -> None:
    """Keep a background loop alive: whatever ends it is logged, and it starts again after a second."""
    while True:
        try:
            await loop()
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("background loop ended")
        await asyncio.sleep(1.0)
