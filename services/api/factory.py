"""Wiring: everything that lives as long as the process, built in one place and closed in the opposite order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.policy import Policy
from services.api.refusals import Refusals
from services.api.replies import Replies
from services.api.settings import ApiSettings
from services.api.sign_path import SignPath
from services.api.usecases.events import Hub
from shared.bus import make_bus
from shared.bus.notifications import open_notifier
from shared.bus.port import Bus, DeadLetter
from shared.db.engine import make_engine
from shared.db.reader import Reader
from shared.openstack.cloud import Cloud, ProjectCloud
from shared.openstack.validate import Caller
from shared.runtime import failpoint
from shared.worker.app import notify_as, write_dead_letter
from shared.worker.relay import OutboxRelay

SERVICE = "api"


@dataclass(frozen=True)
class Context:
    """The frozen context of one process."""

    settings: ApiSettings
    engine: AsyncEngine
    reader: Reader
    bus: Bus
    relay: OutboxRelay
    cloud: Cloud
    replies: Replies
    sign_path: SignPath
    refusals: Refusals
    policy: Policy
    events: Hub
    seal_public_key: str | None = field(repr=False)

    def cloud_of(self, caller: Caller, token: str) -> ProjectCloud:
        """The cloud with the caller's own token."""
        return self.cloud.for_caller(token, caller.endpoints)

    def committed(self) -> None:
        """A change is committed and not yet answered: let its message go. (The kill point of the gateway.)"""
        failpoint.hit("api:after_commit")
        self.relay.wake()


@contextlib.asynccontextmanager
async def open_context(settings: ApiSettings) -> AsyncIterator[Context]:
    """Connect, run the relay and the reply queue, close it all at the end.

    Raises:
        BusUnavailable: no broker within a minute.
        BrokenPolicy: the policy file cannot be used.
    """
    policy = Policy(settings.policy_file)
    notify = notify_as(settings, SERVICE)
    engine = make_engine(settings.database_url, pool_size=settings.pool_size, notify=notify)

    async def on_dead(letter: DeadLetter) -> None:
        await write_dead_letter(engine, SERVICE, letter)

    bus = make_bus(amqp_url=settings.amqp_url, database_url=settings.database_url, service=SERVICE, on_dead=on_dead)
    cloud = Cloud.from_settings(settings)
    replies = Replies()
    reader = await Reader.open(settings.database_url, size=settings.read_pool_size)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(engine.dispose)
        closing.push_async_callback(reader.close)
        refusals = Refusals(engine, every=settings.refused_csr_seconds)
        closing.push_async_callback(refusals.close)
        events = Hub(reader, most=settings.events_streams)
        closing.push_async_callback(events.close)
        closing.push_async_callback(cloud.close)
        closing.push_async_callback(bus.close)
        notifier = await closing.enter_async_context(open_notifier(settings, SERVICE))
        relay = OutboxRelay(engine, bus, service=SERVICE, notifier=notifier)
        await bus.start()
        replies.address = await bus.open_reply_queue(replies.arrived)
        sign_path = SignPath(engine, reader, bus, replies)
        closing.push_async_callback(sign_path.close)
        closing.push_async_callback(_stop, asyncio.create_task(relay.run()))
        closing.push_async_callback(_stop, asyncio.create_task(refusals.run()))
        yield Context(
            settings=settings,
            engine=engine,
            reader=reader,
            bus=bus,
            relay=relay,
            cloud=cloud,
            replies=replies,
            sign_path=sign_path,
            refusals=refusals,
            policy=policy,
            events=events,
            seal_public_key=settings.seal_public_key,
        )


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
