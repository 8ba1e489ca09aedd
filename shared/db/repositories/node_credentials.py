"""A bay's cloud credential on its way to the nodes: who is to have it, what was sealed for whom, who says they use it.

A node can open only what was sealed for the certificate that it shows, so a row counts for that certificate alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, literal, select, true
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.attestations import requester_of
from shared.db.repositories.sign_requests import NODE_PREFIX, CertificateState
from shared.db.tables import certificates, node_credentials, node_reports, nodes
from shared.domain.node_profiles import NODE


@dataclass(frozen=True)
class Recipient:
    """A server that is to have the credential, and how far it has come."""

    server_id: str
    name: str
    serial: str | None
    """Of its newest certificate; None: it never asked for one."""
    pem: str | None
    sealed_for: str | None
    """The serial of the certificate that the stored letter is for."""
    sealed_generation: int | None
    reported: int | None
    """The generation that it says it uses."""


@dataclass(frozen=True)
class Letter:
    """A generation of the credential, sealed for one certificate of one server."""

    server_id: str
    generation: int
    serial: str
    sealed: str


async def recipients(conn: AsyncConnection, bay_id: UUID, roles: Collection[str]) -> list[Recipient]:
    """The bay's servers of these roles, in the order of their places."""
    newest = (
        select(certificates.c.serial, certificates.c.pem)
        .where(
            certificates.c.bay_id == bay_id,
            certificates.c.requester == literal(requester_of("")) + nodes.c.server_id,
            certificates.c.profile == NODE_PREFIX + NODE,
            certificates.c.state == CertificateState.ISSUED.value,
        )
        .order_by(certificates.c.created_at.desc())
        .limit(1)
        .lateral("newest")
    )
    letter, report = node_credentials.c, node_reports.c
    query = (
        select(
            nodes.c.server_id,
            nodes.c.name,
            newest.c.serial,
            newest.c.pem,
            letter.serial,
            letter.generation,
            report.credential_generation,
        )
        .select_from(nodes)
        .outerjoin(newest, true())
        .outerjoin(node_credentials, (letter.bay_id == nodes.c.bay_id) & (letter.server_id == nodes.c.server_id))
        .outerjoin(node_reports, (report.bay_id == nodes.c.bay_id) & (report.server_id == nodes.c.server_id))
        .where(nodes.c.bay_id == bay_id, nodes.c.role.in_(list(roles)))
        .order_by(nodes.c.role, nodes.c.pool, nodes.c.position)
    )
    return [Recipient(*row) for row in await conn.execute(query)]


async def keep(conn: AsyncConnection, bay_id: UUID, letters: Sequence[Letter]) -> None:
    """Store letters, each in place of an earlier one to the same server, but never of one of a later generation."""
    for letter in letters:
        written = pg_insert(node_credentials).values(bay_id=bay_id, **vars(letter))
        not_later = node_credentials.c.generation <= letter.generation
        await conn.execute(
            written.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_=vars(letter), where=not_later)
        )


async def forget(conn: AsyncConnection, bay_id: UUID) -> None:
    """Remove the bay's letters: all who were to have them do."""
    await conn.execute(delete(node_credentials).where(node_credentials.c.bay_id == bay_id))


async def letter_for(conn: AsyncConnection, bay_id: UUID, server_id: str, serial: str) -> Letter | None:
    """The letter to that server, if it is for that certificate and the server is one of the bay's nodes."""
    table = node_credentials.c
    query = (
        select(table.server_id, table.generation, table.serial, table.sealed)
        .join(nodes, (nodes.c.bay_id == table.bay_id) & (nodes.c.server_id == table.server_id))
        .where(table.bay_id == bay_id, table.server_id == server_id, table.serial == serial)
    )
    row = (await conn.execute(query)).first()
    return Letter(*row) if row else None
