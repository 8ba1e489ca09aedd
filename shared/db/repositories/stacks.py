"""What the provisioner keeps: renders, nodes, the nodes' cloud credentials, and tombstones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import (
    authorities,
    bays,
    cloud_credentials,
    node_credentials,
    node_pools,
    nodegroups,
    nodes,
    stack_renders,
    tombstones,
)
from shared.domain.bay import Node
from shared.domain.errors import Conflict


@dataclass(frozen=True)
class Render:
    """What a stack was born with (rule 6). Secrets are not in it: they are sealed in `cloud_credentials`."""

    driver: str
    template: str
    files: Mapping[str, str]
    environment: Mapping[str, object]
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Credential:
    """A node credential: the intent (no id yet) or the sealed secret."""

    bay_id: UUID
    generation: int
    name: str
    user_id: str
    credential_id: str | None
    sealed: bytes | None = field(repr=False)

    @property
    def accepted(self) -> bool:
        """Whether a bay or an operation uses it; else it is an intent."""
        return self.credential_id is not None


_CREDENTIAL: Final = select(
    *(cloud_credentials.c[name] for name in ("bay_id", "generation", "name", "user_id", "credential_id", "sealed"))
)


async def keep_render(conn: AsyncConnection, bay_id: UUID, generation: int, render: Render, *, pool: int = 0) -> None:
    """Store a render. The first one stays: a repeat of the step must not change what a bay or a pool is born with."""
    values = {
        "bay_id": bay_id,
        "generation": generation,
        "pool": pool,
        "driver": render.driver,
        "template": render.template,
        "files": dict(render.files),
        "environment": dict(render.environment),
        "parameters": dict(render.parameters),
    }
    await conn.execute(pg_insert(stack_renders).values(values).on_conflict_do_nothing())


async def render_of(conn: AsyncConnection, bay_id: UUID, generation: int, *, pool: int = 0) -> Render | None:
    """The stored render of the bay, or of one of its further pools."""
    table = stack_renders.c
    query = select(table.driver, table.template, table.files, table.environment, table.parameters).where(
        table.bay_id == bay_id, table.generation == generation, table.pool == pool
    )
    row = (await conn.execute(query)).first()
    return Render(*row) if row else None


async def replace_nodes(conn: AsyncConnection, bay_id: UUID, found: Sequence[Node]) -> None:
    """Make the table equal to what the stack shows; rows that stay keep their age. No letter waits for who has left."""
    ids = [node.server_id for node in found]
    for table in (nodes, node_credentials):
        await conn.execute(delete(table).where(table.c.bay_id == bay_id, table.c.server_id.not_in(ids)))
    for node in found:
        own = {name: value for name, value in vars(node).items() if name != "nodegroup"}
        statement = pg_insert(nodes).values(bay_id=bay_id, **own)
        await conn.execute(statement.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_=own))


async def nodes_of(conn: AsyncConnection, bay_id: UUID, nodegroup: str | None = None) -> list[Node]:
    """The bay's servers by role, pool and position; of one nodegroup where it is named."""
    table = nodes.c
    of_pool = (node_pools.c.bay_id == table.bay_id) & (node_pools.c.number == table.pool)
    group = func.coalesce(nodegroups.c.name, func.concat("default-", table.role))
    columns = ("server_id", "role", "position", "name", "address", "private_address", "pool")
    wanted: list[ColumnElement[Any]] = [*(table[name] for name in columns), group]
    query = (
        select(*wanted)
        .select_from(nodes)
        .outerjoin(node_pools, of_pool & (table.role == "worker"))
        .outerjoin(nodegroups, nodegroups.c.id == node_pools.c.nodegroup_id)
        .where(table.bay_id == bay_id)
        .order_by(table.role, table.pool, table.position)
    )
    if nodegroup is not None:
        query = query.where(group == nodegroup)
    return [Node(*row) for row in await conn.execute(query)]


async def authority_certificate(conn: AsyncConnection, bay_id: UUID, kind: str = "kubernetes") -> str | None:
    """The public certificates of a bay's authorities of that kind, the oldest first: two during a rotation."""
    query = (
        select(authorities.c.certificate)
        .where(authorities.c.bay_id == bay_id, authorities.c.kind == kind, authorities.c.retired_at.is_(None))
        .order_by(authorities.c.generation)
    )
    return "".join(await conn.scalars(query)) or None


async def credential_of(conn: AsyncConnection, bay_id: UUID, generation: int | None = None) -> Credential | None:
    """The credential of that generation, or the newest; one that was only intended is none."""
    table = cloud_credentials.c
    wanted = [table.bay_id == bay_id, table.credential_id.is_not(None)]
    if generation is not None:
        wanted.append(table.generation == generation)
    row = (await conn.execute(_CREDENTIAL.where(*wanted).order_by(table.generation.desc()).limit(1))).first()
    return Credential(*row) if row else None


async def credentials_of(conn: AsyncConnection, bay_id: UUID) -> list[Credential]:
    """All generations of a bay's credential, the oldest first, and those that were only intended."""
    table = cloud_credentials.c
    rows = await conn.execute(_CREDENTIAL.where(table.bay_id == bay_id).order_by(table.generation))
    return [Credential(*row) for row in rows]


async def next_generation(conn: AsyncConnection, bay_id: UUID) -> int | None:
    """The number of the bay's next credential; None: its nodes have none. The caller holds the bay's lock."""
    table = cloud_credentials.c
    # The gateway may not read what is sealed.
    query = select(func.max(table.generation), func.count(table.credential_id)).where(table.bay_id == bay_id)
    newest, accepted = (await conn.execute(query)).one()
    return newest + 1 if accepted else None


async def intend_credential(conn: AsyncConnection, *, bay_id: UUID, generation: int, name: str, user_id: str) -> None:
    """Write the name of a credential before it exists, so that the sweep finds one that nobody came back for."""
    await conn.execute(
        insert(cloud_credentials).values(bay_id=bay_id, generation=generation, name=name, user_id=user_id)
    )


async def open_intents(conn: AsyncConnection, bay_id: UUID) -> int:
    """How many of a bay's credentials are intended and not accepted."""
    table = cloud_credentials.c
    query = select(func.count()).where(table.bay_id == bay_id, table.credential_id.is_(None))
    return int(await conn.scalar(query) or 0)


async def forget_intent(conn: AsyncConnection, bay_id: UUID, generation: int) -> None:
    """Remove an intent of which it is sure that nothing was made for it."""
    table = cloud_credentials.c
    intent = (table.bay_id == bay_id, table.generation == generation, table.credential_id.is_(None))
    await conn.execute(delete(cloud_credentials).where(*intent))


INTENT_LIVES: Final = timedelta(seconds=100)
"""How long an intent may be waited for. Keystone has 30 s to answer, and the sweep leaves young intents alone."""


async def keep_credential(
    conn: AsyncConnection, *, bay_id: UUID, generation: int, credential_id: str, sealed: bytes
) -> None:
    """Store the credential that was made under the intended name, with the bay or the operation that uses it.

    Raises:
        Conflict: the intent is so old that the sweep may be revoking what was made, or a later generation was accepted
            before this one, which its rotation would revoke.
    """
    table, other = cloud_credentials.c, cloud_credentials.alias("other").c
    # Not `SELECT *`: the gateway may not read what is sealed.
    later = (
        select(other.generation)
        .where(other.bay_id == bay_id, other.generation > generation, other.credential_id.is_not(None))
        .exists()
    )
    kept = await conn.execute(
        update(cloud_credentials)
        .where(
            table.bay_id == bay_id,
            table.generation == generation,
            table.created_at > func.clock_timestamp() - INTENT_LIVES,
            ~later,
        )
        .values(credential_id=credential_id, sealed=sealed)
    )
    if kept.rowcount == 0:
        raise Conflict("The cloud took too long to make the nodes' credential. Ask again.")


async def forget_credentials(conn: AsyncConnection, bay_id: UUID, generations: Collection[int]) -> None:
    """Remove rows of a bay's credential after the cloud's own are revoked."""
    table = cloud_credentials.c
    await conn.execute(delete(cloud_credentials).where(table.bay_id == bay_id, table.generation.in_(list(generations))))


async def orphan_credentials(conn: AsyncConnection, *, older_than: float) -> list[Credential]:
    """Credentials that nothing uses, older than so many seconds.

    They are those of bays that do not exist, and those that were intended and never accepted: a gateway died between
    the two, or refused the request and could not take back what it had made.
    """
    table = cloud_credentials.c
    query = _CREDENTIAL.outerjoin(bays, bays.c.id == table.bay_id).where(
        bays.c.id.is_(None) | table.credential_id.is_(None),
        table.created_at < func.now() - timedelta(seconds=older_than),
    )
    return [Credential(*row) for row in await conn.execute(query)]


async def projects_to_sweep(conn: AsyncConnection, *, days: int) -> list[str]:
    """Projects that have bays, or had one within so many days."""
    graves = select(tombstones.c.project_id).where(tombstones.c.buried_at > func.now() - timedelta(days=days))
    return [row.project_id for row in await conn.execute(select(bays.c.project_id).union(graves))]


async def existing(conn: AsyncConnection, bay_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that have a bay."""
    return set((await conn.scalars(select(bays.c.id).where(bays.c.id.in_(bay_ids)))).all())


async def buried(conn: AsyncConnection, bay_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids whose bay was here and is gone."""
    return set((await conn.scalars(select(tombstones.c.bay_id).where(tombstones.c.bay_id.in_(bay_ids)))).all())


async def forget_graves(conn: AsyncConnection, *, days: int) -> None:
    """Remove tombstones older than so many days: nothing of those bays can turn up any more."""
    await conn.execute(delete(tombstones).where(tombstones.c.buried_at < func.now() - timedelta(days=days)))
