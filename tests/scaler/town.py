"""Bays with nodes in a real database, the scaler's own steps run by the worker's dispatcher, and played engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scaler import reopen
from services.scaler.factory import Deps
from services.scaler.settings import ScalerSettings
from services.scaler.steps import STEPS
from shared.db.repositories import bays, stacks
from shared.db.repositories import operations as queue
from shared.db.tables import baymodels
from shared.domain.bay import Node
from shared.domain.operation import OperationKind, Service
from shared.domain.queue import Door
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher
from tests.scaler.played_coe import PlayedAccess, PlayedCoe


@dataclass
class Town:
    """One database, one scaler. `engine` is the administrator's, `own` has only what jb_scaler may do."""

    dsn: str
    engine: AsyncEngine
    own: AsyncEngine
    access: PlayedAccess = field(default_factory=PlayedAccess)

    def deps(self) -> Deps:
        """What the steps are given."""
        settings = ScalerSettings(database_url=self.dsn, keystone_url="http://127.0.0.1/v3", service_password="x")
        return Deps(self.own, settings, self.access)

    async def bay(
        self, nodes: int = 3, *, labels: Mapping[str, str] | None = None, coe: str = "kubernetes"
    ) -> tuple[UUID, PlayedCoe]:
        """A bay at rest with so many workers, ready, open and idle: servers s-0, s-1, …, called node-0, node-1, …"""
        bay_id, model_id = uuid4(), uuid4()
        common = {"project_id": "p", "user_id": "u", "name": "bay"}
        played = self.access.bays[bay_id] = PlayedCoe()
        async with self.engine.begin() as conn:
            await conn.execute(insert(baymodels).values(id=model_id, coe=coe, image_id="i", **common))
            await bays.insert_bay(
                conn,
                id=bay_id,
                baymodel_id=model_id,
                driver="k8s_fedora_atomic",
                stack_name=f"bay-{bay_id.hex[:12]}-1",
                node_count=nodes,
                master_count=1,
                spec={"coe": coe, "labels": dict(labels or {})},
                **common,
            )
        await self.sql("UPDATE bays SET status = 'CREATE_COMPLETE' WHERE id = $1", bay_id)
        await self.nodes(bay_id, [_worker(bay_id, at) for at in range(nodes)])
        for at in range(nodes):
            played.node(f"node-{at}", f"10.0.0.{at + 10}")
        return bay_id, played

    async def nodes(self, bay_id: UUID, nodes: Sequence[Node]) -> None:
        """What the provisioner recorded."""
        async with self.engine.begin() as conn:
            await stacks.replace_nodes(conn, bay_id, nodes)

    async def server_left(self, bay_id: UUID, *servers: str) -> None:
        """As the provisioner records at the end of a resize."""
        await self.sql("DELETE FROM nodes WHERE bay_id = $1 AND server_id = ANY($2)", bay_id, list(servers))

    async def resize(self, bay_id: UUID, count: int, *named: str) -> UUID:
        """What the gateway writes when one is asked for."""
        async with self.engine.begin() as conn:
            bay = await bays.lock(conn, bay_id)
            assert bay is not None
            return await queue.ask(
                conn,
                bay,
                kind=OperationKind.RESIZE,
                request={"node_count": count, "nodes_to_remove": [server_of(bay_id, one) for one in named]},
                requested_by="u",
                timeout_minutes=60,
                busy="queue",
                door=Door.RESIZE,
            )

    def worker(self) -> Dispatcher[Deps]:
        """A scaler: each is a process of its own, which shares nothing but the database with others."""
        timing = Timing.scaled(1.0)
        return Dispatcher(Service.SCALER, self.own, timing, STEPS, self.deps(), lambda: None)

    async def turn(self, operation_id: UUID) -> str:
        """Have the operation's step run once more, now; the name of the step that it stands at then."""
        await self.sql("UPDATE operations SET next_run_at = now() WHERE id = $1", operation_id)
        dispatcher = self.worker()
        if (operation := await dispatcher.claim(operation_id)) is not None:
            await dispatcher.run(operation)
        return await self.step(operation_id)

    async def turns(self, operation_id: UUID, most: int = 20) -> str:
        """Until the scaler has done its part."""
        for _ in range(most):
            if (step := await self.turn(operation_id)) not in STEPS or await self.error(operation_id) is not None:
                return step
        raise AssertionError(f"still at {step}: {await self.note(operation_id, step)}")

    async def time_passes(self, bay_id: UUID, seconds: float) -> None:
        """The drain began so much earlier than it did."""
        await self.sql(
            "UPDATE drained_nodes SET closed_at = closed_at - make_interval(secs => $2) WHERE bay_id = $1",
            bay_id,
            seconds,
        )

    async def fails(self, operation_id: UUID) -> None:
        """The operation came to nothing in somebody else's step."""
        await self.sql(
            "UPDATE operations SET state = 'failed', error = 'Heat', finished_at = now() WHERE id = $1", operation_id
        )

    async def sweep(self) -> int:
        """A round of the sweep, for which every row is due."""
        await self.sql("UPDATE drained_nodes SET next_at = now()")
        return await self.round()

    async def round(self) -> int:
        """A round of the sweep: how many bays it was about."""
        return await reopen.bring_into_order(self.deps())

    async def step(self, operation_id: UUID) -> str:
        """Which one it stands at."""
        return str((await self.rows("SELECT step FROM operations WHERE id = $1", operation_id))[0]["step"])

    async def error(self, operation_id: UUID) -> str | None:
        """Why it failed."""
        found: str | None = (await self.rows("SELECT error FROM operations WHERE id = $1", operation_id))[0]["error"]
        return found

    async def note(self, operation_id: UUID, step: str) -> str:
        """What people read of a step."""
        query = "SELECT note FROM operation_steps WHERE operation_id = $1 AND name = $2"
        return str((await self.rows(query, operation_id, step))[0]["note"])

    async def leaving(self, operation_id: UUID) -> list[str]:
        """Names of those who leave, as the provisioner reads it."""
        query = (
            "SELECT n.name FROM operations o, jsonb_array_elements_text(o.memo->'remove') WITH ORDINALITY AS r(id, at) "
            "JOIN nodes n ON n.server_id = r.id WHERE o.id = $1 ORDER BY at"
        )
        return [row["name"] for row in await self.rows(query, operation_id)]

    async def left_behind(self, bay_id: UUID) -> set[str]:
        """Names of the nodes of which a row says that they are closed."""
        return {row["name"] for row in await self.rows("SELECT name FROM drained_nodes WHERE bay_id = $1", bay_id)}

    async def rows(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database as its administrator."""
        connection = await asyncpg.connect(self.dsn)
        try:
            found: list[asyncpg.Record] = await connection.fetch(query, *values)
            return found
        finally:
            await connection.close()

    async def sql(self, statement: str, *values: object) -> None:
        """Change the database as its administrator."""
        await self.rows(statement, *values)


def server_of(bay_id: UUID, name: str) -> str:
    """The Nova id of a node of that name."""
    return f"s-{name.rpartition('-')[2]}-{bay_id.hex[:8]}"


def _worker(bay_id: UUID, at: int) -> Node:
    name = f"node-{at}"
    return Node(server_of(bay_id, name), "worker", at, name, "127.64.0.9", f"10.0.0.{at + 10}")
