"""The calls that a node makes by its certificate: whose certificate that is, what is wanted, what the node reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.sign_requests import CertificateState
from shared.db.tables import authorities, certificates, node_reports, operations

REPORT_AGES: Final = timedelta(minutes=10)
"""A report that says the same again is written when the one that is stored is so old."""


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate that we issued, with the authority that did, and what Postgres's clock says now."""

    bay_id: UUID
    requester: str
    serial: str
    pem: str
    not_before: datetime
    not_after: datetime
    authority_pem: str
    generation: int
    now: datetime


async def issued(conn: AsyncConnection, serial: str, profile: str) -> IssuedCertificate | None:
    """The issued certificate of that serial (lower-case hexadecimal, 32 digits) and profile.

    None, too, when the bay no longer trusts the authority that issued it.
    """
    query = (
        select(
            certificates.c.bay_id,
            certificates.c.requester,
            certificates.c.serial,
            certificates.c.pem,
            certificates.c.not_before,
            certificates.c.not_after,
            authorities.c.certificate,
            authorities.c.generation,
            func.now(),
        )
        .join(authorities, authorities.c.id == certificates.c.authority_id)
        .where(
            certificates.c.serial == serial,
            certificates.c.profile == profile,
            certificates.c.state == CertificateState.ISSUED.value,
            authorities.c.not_after > func.now(),
            authorities.c.retired_at.is_(None),
        )
    )
    row = (await conn.execute(query)).first()
    return IssuedCertificate(*row) if row else None


async def operation_active(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Whether an operation runs on the bay."""
    query = select(exists().where(operations.c.bay_id == bay_id, operations.c.state == "active"))
    return bool(await conn.scalar(query))


async def report(
    conn: AsyncConnection,
    bay_id: UUID,
    server_id: str,
    *,
    healthy: bool,
    revision: str,
    units: Mapping[str, str],
    credential_generation: int | None,
    authority_generation: int,
    problem: str | None,
) -> bool:
    """Keep what a node says of itself; False when that was known already and nothing was written."""
    table = node_reports.c
    said = {
        "healthy": healthy,
        "revision": revision,
        "units": dict(units),
        "credential_generation": credential_generation,
        "authority_generation": authority_generation,
        "problem": problem,
    }
    known = select(table.server_id).where(
        table.bay_id == bay_id,
        table.server_id == server_id,
        *(table[name].is_not_distinct_from(value) for name, value in said.items()),
        table.reported_at > func.now() - REPORT_AGES,
    )
    if await conn.scalar(known) is not None:
        return False
    written = pg_insert(node_reports).values(bay_id=bay_id, server_id=server_id, **said)
    await conn.execute(
        written.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_={**said, "reported_at": func.now()})
    )
    return True
