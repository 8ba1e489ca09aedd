"""A bay of one master and some workers whose agents report, or do not; time passes by moving what is written back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from typing_extensions import override

from services.scaler import heal, health, health_pull
from shared.db.repositories import drift
from shared.domain.healing import GRACE, OLD_AGENT
from tests.scaler.played_coe import PlayedCoe
from tests.scaler.town import Town, server_of

LIMIT = 330
"""Seconds after which a node that promised its next report within 240 s is silent."""

NEVER = OLD_AGENT + GRACE + 1
"""The same of a node that never promised anything."""


@dataclass
class Told(PlayedCoe):
    """An engine that says how it is."""

    said: dict[str, str] = field(default_factory=lambda: {"api": "ok"})

    @override
    async def health(self) -> Mapping[str, str]:
        """What the test put there."""
        self._hear("health")
        return self.said


@dataclass
class Ward:
    """One bay and its scaler."""

    town: Town
    bay: UUID
    coe: Told
    names: list[str]

    def server(self, name: str) -> str:
        """Its Nova id."""
        return "m-0" if name == "master-0" else server_of(self.bay, name)

    def but(self, *names: str) -> list[str]:
        """All nodes but these."""
        return [name for name in self.names if name not in names]

    async def report(self, *names: str, healthy: bool = True, problem: str | None = None, **units: str) -> None:
        """As the gateway writes it; all nodes when none is named."""
        await self.town.sql(
            "INSERT INTO node_reports (bay_id, server_id, healthy, revision, units, problem, next_within) "
            "SELECT $1, unnest($2::text[]), $3, '', $4, $5, 240 ON CONFLICT (bay_id, server_id) DO UPDATE SET "
            "healthy = excluded.healthy, units = excluded.units, problem = excluded.problem, reported_at = now()",
            self.bay,
            [self.server(name) for name in names or self.names],
            healthy,
            json.dumps(units),
            problem,
        )

    async def time_passes(self, seconds: float, *but: str) -> None:
        """All that is written happened so much earlier; `but` those nodes report meanwhile as they did, the last time
        so long ago that all who did not get through have tried again."""
        back = "make_interval(secs => $2)"
        stays = [self.server(name) for name in but]
        await self.town.sql(
            f"UPDATE node_reports SET reported_at = CASE WHEN server_id = ANY($3) THEN "
            f"greatest(reported_at - {back}, now() - interval '{GRACE}.2 s') ELSE reported_at - {back} END "
            "WHERE bay_id = $1",
            self.bay,
            seconds,
            stays,
        )
        for table, columns in _TIMES.items():
            moved = ", ".join(f"{column} = {column} - {back}" for column in columns)
            where = _WHERE.get(table, "bay_id = $1")
            await self.town.sql(f"UPDATE {table} SET {moved} WHERE {where}", self.bay, seconds)

    async def round(self) -> None:
        """What the scaler does every 15 s, until nothing is left of it."""
        while await health.look(self.town.deps()):
            pass
        await heal.plan(self.town.deps())

    async def ask(self) -> int:
        """The looks at bays that are due now; how many."""
        await self.town.sql("UPDATE bay_checks SET next_at = now()")
        due = await health_pull.claim(self.town.deps(), 100)
        for check in due:
            await health_pull.ask(self.town.deps(), check)
        return len(due)

    async def health(self) -> tuple[str | None, dict[str, str]]:
        """As people see it."""
        query = "SELECT health_status, health_status_reason FROM bays WHERE id = $1"
        (row,) = await self.town.rows(query, self.bay)
        return row["health_status"], json.loads(row["health_status_reason"])

    async def reason(self, key: str) -> str | None:
        """One of its keys."""
        return (await self.health())[1].get(key)

    async def version(self) -> tuple[object, object]:
        """Changes whenever the bay's row is written."""
        (row,) = await self.town.rows("SELECT xmin, updated_at FROM bays WHERE id = $1", self.bay)
        return row["xmin"], row["updated_at"]

    async def cloud_says(self, found: Mapping[str, str], *, ill: bool = True) -> None:
        """The provisioner's sweep."""
        async with self.town.engine.begin() as conn:
            await drift.tell(conn, self.bay, found, ill=ill)

    async def heals(self) -> list[dict[str, Any]]:
        """The requests of the healings that were asked for, the oldest first."""
        query = "SELECT request FROM operations WHERE bay_id = $1 AND kind = 'heal' ORDER BY seq"
        return [json.loads(row["request"]) for row in await self.town.rows(query, self.bay)]

    async def healed(self) -> list[str]:
        """Names of the nodes of these."""
        return [one["node"] for one in await self.heals()]

    async def end(self, state: str = "done", *, replaced_by: str | None = None) -> None:
        """The healing under way ends; the node may have been replaced by a new one of that name."""
        if replaced_by is not None:
            (ill,) = [one["node"] for one in (await self.heals())[-1:]]
            await self.town.server_left(self.bay, self.server(ill))
            self.names[self.names.index(ill)] = replaced_by
            await self.add(replaced_by)
        await self.town.sql(
            "UPDATE operations SET state = $2, finished_at = now() WHERE bay_id = $1 AND state = 'active'",
            self.bay,
            state,
        )
        became = "UPDATE_COMPLETE" if state == "done" else "UPDATE_FAILED"
        await self.town.sql("UPDATE bays SET status = $2 WHERE id = $1", self.bay, became)

    async def add(self, name: str, role: str = "worker") -> None:
        """A new server."""
        await self.town.sql(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
            "VALUES ($1, $2, $3, $4, $5, '', '')",
            self.bay,
            self.server(name),
            role,
            int(name.rpartition("-")[2]),
            name,
        )


async def ward(town: Town, workers: int = 3, *, labels: Mapping[str, str] | None = None) -> Ward:
    """Such a bay, of which nobody has reported yet."""
    bay, _ = await town.bay(workers, labels=labels)
    coe = Told()
    town.access.bays[bay] = coe
    it = Ward(town, bay, coe, ["master-0", *(f"node-{at}" for at in range(workers))])
    await it.add("master-0", "master")
    return it


async def well(town: Town, workers: int = 3, *, labels: Mapping[str, str] | None = None) -> Ward:
    """Such a bay, whose nodes have all reported that they are well."""
    it = await ward(town, workers, labels=labels)
    await it.report()
    await it.round()
    assert (await it.health())[0] == "HEALTHY"
    return it


async def falls_silent(it: Ward, *names: str, seconds: float = LIMIT + 1) -> None:
    """These nodes have not been heard for so long; the others were."""
    await it.time_passes(seconds, *it.but(*names))
    await it.round()


_TIMES: Mapping[str, Sequence[str]] = {
    "nodes": ("created_at",),
    "node_health": ("since", "heard_again_at"),
    "operations": ("created_at", "finished_at"),
    "bays": ("health_held_until",),
    "operation_steps": ("started_at", "finished_at"),
}
_WHERE = {
    "bays": "id = $1 AND health_held_until IS NOT NULL",
    "operation_steps": "operation_id IN (SELECT id FROM operations WHERE bay_id = $1)",
}
