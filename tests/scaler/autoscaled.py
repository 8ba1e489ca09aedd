"""Bays that are scaled by themselves: rounds of the loop over the town's bays, and time that passes for their memos."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from typing_extensions import override

from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.mesos.bay import MesosBay
from services.scaler.autoscale import Autoscaler
from shared.coe.connect import ClientCertificate, Dialer, tls
from shared.coe.kubernetes import Kubernetes
from shared.coe.mesos import Mesos
from shared.coe.mesos_api import Master
from shared.coe.port import Coe, Resources, Work
from shared.coe.swarm import SwarmMode
from shared.domain.bay import Bay
from shared.runtime.egress import EgressPolicy
from tests.scaler.played_coe import PlayedAccess, PlayedCoe
from tests.scaler.town import Town
from tests.support.coe import PlayedBay

ON = {"auto_scaling_enabled": "true", "max_node_count": "10"}
SMALL = Resources(0.5, 1 << 20)


async def bay(
    town: Town, nodes: int = 3, *, labels: Mapping[str, str] | None = None, busy: bool = True
) -> tuple[UUID, PlayedCoe]:
    """One that is to be scaled, at rest; each node is `busy` with work that no other has room for."""
    made, played = await town.bay(nodes, labels=ON if labels is None else labels)
    await town.sql("UPDATE bays SET labels = spec->'labels' WHERE id = $1", made)
    for at in range(nodes if busy else 0):
        played.works.append(Work(f"shop/web-{at}", f"node-{at}", Resources(1.2, 1 << 30), stays=False))
    return made, played


def waits(played: PlayedCoe, *names: str, asks: Resources = SMALL) -> None:
    """Such work waits for room."""
    played.works += [Work(name, None, asks, stays=False, waiting="Insufficient cpu.") for name in names]


async def policy(town: Town, bay_id: UUID, **values: object) -> None:
    """What the owner has put."""
    await town.sql("INSERT INTO scaling_policies (bay_id, policy) VALUES ($1, $2)", bay_id, json.dumps(values))


async def look(town: Town, scaler: Autoscaler | None = None) -> None:
    """Every bay that is to be looked at is, once, now."""
    scaler = scaler or Autoscaler(town.deps())
    await scaler.search()
    await town.sql("UPDATE bay_checks SET next_at = now()")
    await scaler.round()
    await scaler.finish()


async def time_passes(town: Town, bay_id: UUID, seconds: float) -> None:
    """All that the bay's memo remembers was so much earlier, but for the last look."""
    instants = ("changed", "out_at", "in_at", "quiet_since", "stuck_since")
    memo = await memo_of(town, bay_id)
    memo |= {name: memo[name] - seconds for name in instants if name in memo}
    await town.sql("UPDATE bay_checks SET memo = $2 WHERE bay_id = $1", bay_id, json.dumps(memo))


async def memo_of(town: Town, bay_id: UUID) -> dict[str, Any]:
    """What the last look left."""
    (row,) = await town.rows("SELECT memo FROM bay_checks WHERE bay_id = $1", bay_id)
    found: dict[str, Any] = json.loads(row["memo"])
    return found


async def decisions(town: Town, bay_id: UUID) -> list[tuple[int, int, str]]:
    """(count, desired, reason), oldest first."""
    query = "SELECT node_count, desired, reason FROM scaling_decisions WHERE bay_id = $1 ORDER BY seq"
    return [tuple(row) for row in await town.rows(query, bay_id)]


async def resizes(town: Town, bay_id: UUID) -> list[int]:
    """The counts that were asked for, oldest first."""
    query = "SELECT (request->>'node_count')::int AS it FROM operations WHERE bay_id = $1 ORDER BY seq"
    return [row["it"] for row in await town.rows(query, bay_id)]


async def resized(town: Town, bay_id: UUID) -> None:
    """What was asked for has been done."""
    await town.sql("UPDATE operations SET state = 'done', finished_at = now() WHERE bay_id = $1", bay_id)
    await town.sql("UPDATE bays SET status = 'UPDATE_COMPLETE' WHERE id = $1", bay_id)


@dataclass
class WireAccess(PlayedAccess):
    """The way into bays whose engines speak over TLS, with the scaler's own client; others are played."""

    wires: dict[object, PlayedBay[Any]] = field(default_factory=dict)
    contexts: dict[object, ssl.SSLContext] = field(default_factory=dict)

    @override
    @asynccontextmanager
    async def open(self, bay: Bay) -> AsyncIterator[Coe]:  # type: ignore[override] # wider than what is played
        """By the wire, if there is one."""
        if (wire := self.wires.get(bay.id)) is None:
            async with super().open(bay) as played:
                yield played
            return
        coe = self._client(bay, wire)
        try:
            yield coe
        finally:
            await coe.close()

    def _client(self, bay: Bay, wire: PlayedBay[Any]) -> Coe:
        dialer = Dialer(EgressPolicy())
        if isinstance(wire.engine, MesosBay):
            master = Master(
                dialer.channel("mesos", wire.master_url),
                frozenset({wire.address, wire.engine.own_address.partition(":")[0]}),
            )
            return Mesos([master], [dialer.channel("marathon", wire.url)])
        if bay.id not in self.contexts:
            self.contexts[bay.id] = tls(wire.ca, ClientCertificate(*wire.client("scaler", "jeroboam:scaler")))
        context = self.contexts[bay.id]
        if isinstance(wire.engine, DockerBay):
            return SwarmMode([dialer.channel("docker", wire.url, context)])
        return Kubernetes(dialer.channel("kubernetes", wire.url, context))


async def until_quiet(town: Town, bay_id: UUID) -> None:
    """As if the quiet time and all that follows a change were over."""
    await look(town)
    await time_passes(town, bay_id, 5_000)
    await look(town)


async def leased(town: Town, bay_id: UUID) -> bool:
    (row,) = await town.rows("SELECT lease_token FROM bay_checks WHERE bay_id = $1", bay_id)
    return row["lease_token"] is not None
