"""What ends soon is watched: at the start and every hour, for all bays, whatever happens to them otherwise.

    1. Hold some bays whose authorities end within `warn_before` (not those that are retired).
    2. Of each generation that nobody was told of: note that it is told now, and put the message into the outbox.
    3. Say it in the bays' health_status_reason, if it is not said there.
    4. Commit. Then the next bays. One that somebody else holds at the moment comes an hour later.
    5. Take the sentence back where no such authority is left, as after a rotation.
    6. Set the metrics.

Any number of replicas do so at once: a bay's row is held, and what another one has told is not told again.
Nodes' certificates need no warning: nodes renew them by themselves when a third of their time is left. Those of nodes
that did not are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts.certificate import BayAuthoritiesExpiring
from shared.db.repositories import expiry, outbox
from shared.db.repositories.expiry import Ending, Figures
from shared.domain.errors import InvalidInput
from shared.domain.operation import OperationKind, Service
from shared.drivers import registry
from shared.drivers.contract import Driver
from shared.runtime.telemetry import AUTHORITIES_ENDING, EARLIEST_END, LEAVES_ENDING

EVERY: Final = timedelta(hours=1)
_BATCH: Final = 100


@dataclass(frozen=True)
class ExpiryWatch:
    """Looks for what ends soon."""

    engine: AsyncEngine
    warn_before: timedelta
    node_validity: timedelta
    every: timedelta = EVERY
    drivers: Callable[[str], Driver] = registry.by_name

    async def run(self) -> None:
        """Look now and every hour, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.every.total_seconds())

    async def look(self) -> Figures:
        """Look once."""
        after = None
        while True:
            async with self.engine.begin() as conn:
                held, after = await expiry.hold_ending(conn, self.warn_before, after, _BATCH)  # 1
                warned = await expiry.warn(conn, [one.bay_id for one in held], self.warn_before)  # 2
                for bay_id, generation, end in warned:
                    message = BayAuthoritiesExpiring(bay_id=bay_id, generation=generation, not_after=end)
                    await outbox.add(conn, Service.CERTS.value, message)
                await expiry.tell(conn, {one.bay_id: self._sentence(one) for one in held})  # 3
            if after is None:  # 4
                break
        over = _BATCH
        while over == _BATCH:
            async with self.engine.begin() as conn:
                over = await expiry.tell_over(conn, self.warn_before, _BATCH)  # 5
        return await self._measure()

    async def _measure(self) -> Figures:
        # A sixth: half of the time in which a node should have renewed it has passed.
        of_nodes = min(self.warn_before, self.node_validity / 6)
        async with self.engine.connect() as conn:
            found = await expiry.figures(conn, self.warn_before, of_nodes)  # 6
        AUTHORITIES_ENDING.labels("soon").set(found.soon)
        AUTHORITIES_ENDING.labels("ended").set(found.ended)
        LEAVES_ENDING.labels("soon").set(found.nodes_soon)
        LEAVES_ENDING.labels("ended").set(found.nodes_ended)
        EARLIEST_END.set(float("inf") if found.first_end_seconds is None else found.first_end_seconds)
        return found

    def _sentence(self, one: Ending) -> str:
        day = f"{one.not_after:%Y-%m-%d}"
        if one.over:
            return f"The bay's certificate authorities ended on {day}, and with them every certificate. Make it anew."
        if self._rotates(one):
            return (
                f"The bay's certificate authorities end on {day}, and with them every certificate. Rotate them before: "
                f"openstack coe ca rotate {one.bay_id}"
            )
        return (
            f"The bay's certificate authorities end on {day}; from then on its nodes cannot be told anything. They "
            "cannot be rotated in a bay of this kind: make it anew before."
        )

    def _rotates(self, one: Ending) -> bool:
        try:
            return not one.tls_disabled and OperationKind.ROTATE_CA.value in self.drivers(one.driver).kinds
        except InvalidInput:
            return False
