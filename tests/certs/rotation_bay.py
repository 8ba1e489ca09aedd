"""A bay whose authorities are rotated: its nodes in the database, and their agents as far as the steps can see them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.factory import Deps
from services.certs.steps import STEPS
from shared.db.engine import make_engine
from shared.db.repositories import authorities, node_calls, operations, rotations
from shared.db.repositories.authorities import KINDS
from shared.domain import rotation as rules
from shared.domain.operation import OperationKind, Service
from shared.domain.rotation import Phase, Rotation
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher
from shared.worker.outcome import StepFunction
from tests.certs.world import World, as_role


@dataclass
class Agent:
    """A node's agent: it does at once what is wanted of it and then says so; or it says what it is made to say."""

    server_id: str
    role: str
    generation: int = 1
    problem: str | None = None

    @property
    def name(self) -> str:
        return f"name-of-{self.server_id}"


@dataclass
class Bay:
    """The bay of a world, with nodes."""

    world: World
    gateway: AsyncEngine
    agents: list[Agent]
    steps: Mapping[str, StepFunction[Deps]] = field(default_factory=lambda: STEPS)

    @classmethod
    async def of(cls, world: World, masters: int, workers: int) -> Bay:
        """A standing bay with authorities and with so many nodes, all of them well."""
        await world.make_authorities()
        await world.rows("TRUNCATE certificate_audit")
        agents = [Agent(f"m{number}", "master") for number in range(masters)]
        agents += [Agent(f"w{number}", "worker") for number in range(workers)]
        bay = cls(world, make_engine(as_role(world.dsn, "jb_api"), pool_size=2), agents)
        values = ", ".join(
            f"('{world.bay_id}', '{agent.server_id}', '{agent.role}', {position}, '{agent.name}', 'a', 'b')"
            for position, agent in enumerate(agents)
        )
        columns = "bay_id, server_id, role, position, name, address, private_address"
        if agents:
            await world.rows(f"INSERT INTO nodes ({columns}) VALUES {values}")
        await bay.poll(*agents)
        return bay

    def agent(self, server_id: str) -> Agent:
        return next(one for one in self.agents if one.server_id == server_id)

    async def start(self, *, minutes: int = 60) -> UUID:
        """A rotation that was asked for; what there was before has ended."""
        admin = make_engine(self.world.dsn, pool_size=1)
        async with admin.begin() as conn:
            await conn.execute(text("UPDATE operations SET state = 'done' WHERE state = 'active'"))
            await conn.execute(text("UPDATE bays SET status = 'UPDATE_IN_PROGRESS'"))
            asked = await operations.enqueue(
                conn,
                bay_id=self.world.bay_id,
                kind=OperationKind.ROTATE_CA,
                request={},
                requested_by="user-1",
                timeout_minutes=minutes,
            )
        await admin.dispose()
        return asked

    async def look(self, operation_id: UUID) -> None:
        """Let the worker look at it, as if its wait were over."""
        async with self.world.engine.begin() as conn:
            due = text("UPDATE operations SET next_run_at = now() WHERE id = :id")
            await conn.execute(due, {"id": operation_id})
        await self._worker.look_at(operation_id)

    @cached_property
    def _worker(self) -> Dispatcher[Deps]:
        timing = Timing.scaled(1.0)
        return Dispatcher(
            Service.CERTS, self.world.engine, timing, self.steps, self.world.deps(), committed=lambda: None
        )

    async def poll(self, *agents: Agent | str) -> None:
        """These agents look and report; all of them when none is named."""
        chosen = [self.agent(one) if isinstance(one, str) else one for one in agents] or self.agents
        for agent in chosen:
            await self._poll(agent)

    async def _poll(self, agent: Agent) -> None:
        async with self.gateway.begin() as conn:
            rotation = await rotations.of(conn, self.world.bay_id)
            turn = await rotations.turn_of(conn, self.world.bay_id, agent.server_id)
            trusted = await authorities.trusted(conn, self.world.bay_id, *KINDS)
            if rotation and not agent.problem and rules.renews(rotation, turn, agent.generation):
                agent.generation = rotation.signing
            if rotation:
                generations = rules.trusted(rotation, turn, agent.generation)
                trusted = [one for one in trusted if one.generation in generations]
            revision = rules.revision_of(one.certificate for one in trusted)
        await self.say(agent, "before" if agent.problem else revision)

    async def say(self, agent: Agent, revision: str) -> None:
        """Its report, written now."""
        async with self.gateway.begin() as conn:
            # So that even the same again is written.
            old = text("UPDATE node_reports SET reported_at = now() - interval '1 hour' WHERE server_id = :server_id")
            await conn.execute(old, {"server_id": agent.server_id})
            await node_calls.report(
                conn,
                self.world.bay_id,
                agent.server_id,
                healthy=agent.problem is None,
                revision=revision,
                units={},
                credential_generation=None,
                serial="",
                authority_generation=agent.generation,
                problem=agent.problem,
                next_within=600,
            )

    async def attested(self, server_id: str, ago: str = "0") -> None:
        """The server was given its first certificates so long ago; it may have been no node of the bay ever."""
        await self.world.rows(
            "INSERT INTO attestations (id, bay_id, server_id, role, digest, csr, csr_digest, expires_at, state,"
            f" created_at) SELECT gen_random_uuid(), id, '{server_id}', 'worker', 'd', 'c', 'd', now(), 'attested',"
            f" now() - interval '{ago}' FROM bays"
        )

    async def ended(self, kind: str, state: str, ago: str) -> None:
        """A change of the bay was over so long ago."""
        await self.world.rows(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, requested_by, finished_at)"
            f" SELECT gen_random_uuid(), id, '{kind}', '{state}', 'provisioner', 'x', 'u', now() - interval '{ago}'"
            " FROM bays"
        )

    async def silent(self, agent: Agent | str, *, minutes: int) -> None:
        """As if its last report were so old, and its turn, if it has come in that, still older."""
        server_id = agent if isinstance(agent, str) else agent.server_id
        come = f"SELECT reported_at FROM node_reports WHERE server_id = '{server_id}'"
        await self.world.rows(
            f"UPDATE rotation_turns SET given_at = given_at - interval '{minutes} minutes'"
            f" WHERE server_id = '{server_id}' AND given_at < ({come})"
        )
        await self.world.rows(
            f"UPDATE node_reports SET reported_at = reported_at - interval '{minutes} minutes'"
            f" WHERE server_id = '{server_id}'"
        )

    async def undo(self) -> bool:
        """As the gateway does."""
        async with self.gateway.begin() as conn:
            return await rotations.undo(conn, self.world.bay_id)

    async def rotation(self) -> Rotation | None:
        async with self.gateway.connect() as conn:
            return await rotations.of(conn, self.world.bay_id)

    async def turns(self) -> dict[str, tuple[Phase, int]]:
        """Phase and target of every turn there is."""
        async with self.gateway.connect() as conn:
            nodes = await rotations.progress(conn, self.world.bay_id)
            found = {one.server_id: one.turn for one in nodes if one.turn is not None}
        return {one.server_id: (one.phase, one.target) for one in found.values()}

    async def signing(self) -> int:
        """The generation that signs now."""
        async with self.gateway.connect() as conn:
            rotation = await rotations.of(conn, self.world.bay_id)
        if rotation is not None:
            return rotation.signing
        (newest,) = await self.world.column("SELECT max(generation) FROM authorities WHERE retired_at IS NULL")
        assert isinstance(newest, int)
        return newest

    async def state(self, operation_id: UUID) -> str:
        (state,) = await self.world.column(f"SELECT state FROM operations WHERE id = '{operation_id}'")
        return str(state)

    async def error(self, operation_id: UUID) -> str:
        (error,) = await self.world.column(f"SELECT error FROM operations WHERE id = '{operation_id}'")
        return str(error)

    async def note(self, step: str) -> str:
        """What people read of the newest operation's step."""
        query = f"SELECT note FROM operation_steps WHERE name = 'rotate_ca.{step}' ORDER BY started_at DESC NULLS LAST"
        return str((await self.world.column(query))[0])

    async def until(self, operation_id: UUID, phase: Phase) -> None:
        """Nodes and worker, until the rotation is in that phase."""
        async with asyncio.timeout(30):
            while (now := await self.rotation()) is None or now.phase is not phase:
                await self.poll()
                await self.look(operation_id)

    async def finish(self, operation_id: UUID) -> None:
        """Nodes and worker, until the operation has ended well."""
        async with asyncio.timeout(30):
            while await self.state(operation_id) == "active":
                await self.look(operation_id)
                await self.poll()
        assert await self.state(operation_id) == "done", await self.error(operation_id)

    async def remains(self) -> list[int]:
        """The generations that are trusted, of which all kinds are there with their keys."""
        found = await self.world.rows(
            "SELECT a.generation, count(*), count(k.authority_id) FROM authorities a"
            " LEFT JOIN authority_keys k ON k.authority_id = a.id"
            " WHERE a.retired_at IS NULL AND a.kind <> 'service_account' GROUP BY a.generation ORDER BY 1"
        )
        assert all(row[1:] == (len(KINDS), len(KINDS)) for row in found), found
        retired = "SELECT count(*) FROM authority_keys k JOIN authorities a ON a.id = k.authority_id"
        assert await self.world.column(f"{retired} WHERE a.retired_at IS NOT NULL") == [0]
        return [int(str(row[0])) for row in found]


def of_role(agents: Sequence[Agent], role: str) -> set[str]:
    """Their server ids."""
    return {one.server_id for one in agents if one.role == role}


MakeBay = Callable[[int, int], Awaitable[Bay]]
"""Makes a bay of so many masters and workers."""
