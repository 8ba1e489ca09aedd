"""The scaler's way into bays: whether a bay is called at all, by which engine's client, and with what it is let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scaler.engines import new_coe
from services.scaler.passes import Passes
from services.scaler.reach import KUBERNETES, MESOS, NotCalled, coe_of, dialled, unreachable
from services.scaler.signatures import Signatures
from shared.bus.port import Bus
from shared.coe.connect import Channel, Dialer
from shared.coe.port import Coe
from shared.db.repositories import stacks
from shared.domain.bay import Bay, Node
from shared.runtime.egress import EgressPolicy


class Access:
    """Of one process. `dialer` is how it connects, `passes` what it is let in with."""

    def __init__(self, engine: AsyncEngine, dialer: Dialer, passes: Passes, *, private_too: bool = False) -> None:
        self._engine = engine
        self._dialer = dialer
        self._passes = passes
        self._private_too = private_too

    @classmethod
    def of(cls, engine: AsyncEngine, bus: Bus, egress: EgressPolicy, *, private_too: bool) -> Self:
        """As a process has it."""
        passes = Passes(engine, Signatures(engine, bus))
        return cls(engine, Dialer(egress.towards_bays()), passes, private_too=private_too)

    def reaches(self, bay: Bay) -> bool:
        """Whether we are meant to call that bay's API at all."""
        return self.unreachable(bay) is None

    def unreachable(self, bay: Bay) -> str | None:
        """Why we are not meant to, as a sentence for people; None: we are."""
        return unreachable(bay, self._dialer.egress, private_too=self._private_too)

    @asynccontextmanager
    async def open(self, bay: Bay) -> AsyncIterator[Coe]:
        """The bay's engine, with connections of its own that end with the block.

        Raises:
            NotCalled: we are not meant to.
            CloudError: there is no certificate for it now. What the engine's methods raise comes through as it is.
        """
        if (why := self.unreachable(bay)) is not None:
            raise NotCalled(why)
        # Mesos is older than its own TLS, whatever the bay's other parts have.
        plain = bay.spec.get("tls_disabled") is True or coe_of(bay) == MESOS
        context = None if plain else await self._passes.of(bay)
        masters = await self._masters(bay)
        channels: list[Channel] = []

        def channel(service: str, base: str) -> Channel:
            channels.append(self._dialer.channel(service, base, context))
            return channels[-1]

        coe = new_coe(bay, masters, channel, tls=context is not None)
        try:
            yield coe
        finally:
            await coe.close()
            if any(one.not_let_in for one in channels):
                self._passes.refused(bay)

    async def _masters(self, bay: Bay) -> list[Node]:
        if coe_of(bay) == KUBERNETES:
            return []  # its API server is asked at the bay's address alone
        async with self._engine.connect() as conn:
            return dialled(await stacks.nodes_of(conn, bay.id), private_too=self._private_too)
