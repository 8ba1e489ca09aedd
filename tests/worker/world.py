"""What the tests of the worker need: bays, operations, and a dispatcher of the certificate service's two steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.repositories import bays
from shared.db.repositories import operations as queue
from shared.db.tables import baymodels, operation_steps, operations
from shared.domain.bay import Bay
from shared.domain.operation import FLOWS, OperationKind, Service
from shared.domain.queue import Busy, Door
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher
from shared.worker.outcome import Done, Outcome, StepContext

TIMING = Timing.scaled(1.0)

StepOf = Callable[[StepContext[None]], Awaitable[Outcome]]


async def done(_ctx: StepContext[None]) -> Outcome:
    """A step that has nothing to do."""
    return Done()


@dataclass
class World:
    """One database."""

    dsn: str
    engine: AsyncEngine
    commits: list[None] = field(default_factory=list)

    async def bay(self) -> UUID:
        """A bay with an active create, as the gateway writes them."""
        bay_id, model_id = uuid4(), uuid4()
        common = {"project_id": "p", "user_id": "u", "name": "bay"}
        async with self.engine.begin() as conn:
            await conn.execute(insert(baymodels).values(id=model_id, coe="kubernetes", image_id="i", **common))
            await bays.insert_bay(
                conn,
                id=bay_id,
                baymodel_id=model_id,
                driver="k8s_fedora_atomic",
                stack_name=f"bay-{bay_id.hex[:12]}-1",
                node_count=1,
                master_count=1,
                **common,
            )
            await self._enqueue(conn, bay_id, OperationKind.CREATE)
        return bay_id

    async def enqueue(self, bay_id: UUID, kind: OperationKind) -> UUID:
        """Another operation for the bay."""
        async with self.engine.begin() as conn:
            await bays.lock(conn, bay_id)
            return await self._enqueue(conn, bay_id, kind)

    async def delete(self, bay_id: UUID) -> UUID | None:
        """What the gateway does on DELETE."""
        async with self.engine.begin() as conn:
            bay = await bays.lock(conn, bay_id)
            assert bay is not None
            return await queue.request_delete(conn, bay, "u")

    async def ask(
        self,
        bay_id: UUID,
        node_count: int,
        *,
        busy: Busy = "queue",
        door: Door = Door.RESIZE,
        engine: AsyncEngine | None = None,
        request: Mapping[str, object] | None = None,
    ) -> UUID:
        """What the gateway does when a resize is asked for."""
        async with (engine or self.engine).begin() as conn:
            bay = await bays.lock(conn, bay_id)
            assert bay is not None
            return await queue.ask(
                conn,
                bay,
                kind=OperationKind.RESIZE,
                request={"node_count": node_count, **(request or {})},
                requested_by="u",
                timeout_minutes=60,
                busy=busy,
                door=door,
            )

    async def get(self, bay_id: UUID) -> Bay:
        """The bay."""
        async with self.engine.connect() as conn:
            found = await bays.get(conn, bay_id)
        assert found is not None
        return found

    async def states(self, bay_id: UUID) -> list[tuple[str, str, str]]:
        """(kind, state, step) of the bay's operations, oldest first."""
        query = (
            select(operations.c.kind, operations.c.state, operations.c.step)
            .where(operations.c.bay_id == bay_id)
            .order_by(operations.c.seq)
        )
        async with self.engine.connect() as conn:
            return [(row.kind, row.state, row.step) for row in await conn.execute(query)]

    async def note(self, bay_id: UUID, step: str) -> str | None:
        """What people read about a step."""
        query = (
            select(operation_steps.c.note)
            .join(operations, operations.c.id == operation_steps.c.operation_id)
            .where(operations.c.bay_id == bay_id, operation_steps.c.name == step)
        )
        async with self.engine.connect() as conn:
            found: str | None = await conn.scalar(query)
        return found

    async def sql(self, statement: str, **values: object) -> None:
        """Change the database behind everybody's back."""
        async with self.engine.begin() as conn:
            await conn.execute(text(statement), values)

    def dispatcher(self, create: StepOf = done, delete: StepOf = done, timing: Timing = TIMING) -> Dispatcher[None]:
        """The certificate service with these two steps."""
        ours = [one.name for flow in FLOWS.values() for one in flow.steps if one.service is Service.CERTS]
        steps: dict[str, Any] = dict.fromkeys(ours, done) | {"create.authorities": create, "delete.authorities": delete}
        return Dispatcher(Service.CERTS, self.engine, timing, steps, None, lambda: self.commits.append(None))

    def workers(
        self, steps: Mapping[str, StepOf] | None = None, engines: Mapping[Service, AsyncEngine] | None = None
    ) -> list[Dispatcher[None]]:
        """Every service with steps that have nothing to do, but for those given."""
        given: dict[str, Any] = {one.name: done for flow in FLOWS.values() for one in flow.steps} | dict(steps or {})
        owner = {one.name: one.service for flow in FLOWS.values() for one in flow.steps}
        return [
            Dispatcher(
                service,
                (engines or {}).get(service, self.engine),
                TIMING,
                {name: step for name, step in given.items() if owner[name] is service},
                None,
                lambda: self.commits.append(None),
            )
            for service in Service
        ]

    async def drain(self, workers: list[Dispatcher[None]]) -> None:
        """Work until nothing is due."""
        while any([await self.run_due(worker) for worker in workers]):
            continue

    async def run_due(self, dispatcher: Dispatcher[None]) -> bool:
        """One claim and what follows; False when nothing was due."""
        operation = await dispatcher.claim()
        if operation is not None:
            await dispatcher.run(operation)
        return operation is not None

    async def _enqueue(self, conn: Any, bay_id: UUID, kind: OperationKind) -> UUID:
        return await queue.enqueue(
            conn, bay_id=bay_id, kind=kind, request={"node_count": 2}, requested_by="u", timeout_minutes=60
        )
