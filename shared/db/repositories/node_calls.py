"""The calls that a node makes by its certificate: whose certificate that is, what is wanted, what the node reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.sign_requests import CertificateState
from shared.db.tables import authorities, authority_rotations, certificates, node_reports, operations, sign_requests

REPORT_AGES: Final = timedelta(seconds=30)
"""A report that says the same again is written when the one that is stored is so old. Whoever looks for nodes that have
fallen silent reckons with that (shared.domain.healing)."""
MIXED: Final = 0
"""In place of a generation: a node's certificates were signed by two, because a rotation moved on, or was undone, while
they were being signed. Such a node is to renew all of them."""


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
    """Of the authority; `MIXED` when others that came with it are of another one."""
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
            case((_is_mixed(), MIXED), else_=authorities.c.generation),
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


def _is_mixed() -> ColumnElement[bool]:
    """Whether a certificate came with some of another generation. Looked at while the bay's authorities are rotated."""
    own, sibling, other = sign_requests.alias(), sign_requests.alias(), certificates.alias()
    of_other = authorities.alias()
    differs = (
        select(other.c.id)
        .select_from(own)
        .join(sibling, sibling.c.attestation_id == own.c.attestation_id)
        .join(other, other.c.id == sibling.c.certificate_id)
        .join(of_other, of_other.c.id == other.c.authority_id)
        .where(own.c.id == certificates.c.sign_request_id, of_other.c.generation != authorities.c.generation)
        .correlate(certificates, authorities)
    )
    return and_(exists().where(authority_rotations.c.bay_id == certificates.c.bay_id), differs.exists())


def _is_replaced(serial: str, generation: int) -> ColumnElement[bool]:
    """Whether a node, by its row of `node_reports`, uses certificates of the rotation's target already, and got them
    after this one, which is of another generation.

    The generation alone does not say it: a node whose rotation was undone while it was signed for holds a newer
    certificate than the one that it reported with, and has to be able to get rid of it.
    """
    own, newer, issuer, rotation = certificates.alias(), certificates.alias(), authorities.alias(), authority_rotations
    return (
        select(newer.c.id)
        .select_from(rotation)
        .join(issuer, (issuer.c.bay_id == rotation.c.bay_id) & (issuer.c.generation == rotation.c.target))
        .join(own, own.c.bay_id == rotation.c.bay_id)
        .join(
            newer,
            (newer.c.bay_id == own.c.bay_id)
            & (newer.c.requester == own.c.requester)
            & (newer.c.profile == own.c.profile)
            & (newer.c.authority_id == issuer.c.id),
        )
        .where(
            rotation.c.bay_id == node_reports.c.bay_id,
            rotation.c.target == node_reports.c.authority_generation,
            rotation.c.target != generation,
            own.c.serial == serial,
            newer.c.state == CertificateState.ISSUED.value,
            newer.c.created_at > own.c.created_at,
        )
        .correlate(node_reports)
        .exists()
    )


async def replaced(conn: AsyncConnection, bay_id: UUID, server_id: str, *, serial: str, generation: int) -> bool:
    """Whether a rotation is under way that the node has followed already, with a newer certificate than that one."""
    mine = node_reports.c.bay_id == bay_id, node_reports.c.server_id == server_id
    return (
        await conn.scalar(select(node_reports.c.server_id).where(*mine, _is_replaced(serial, generation))) is not None
    )


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
    serial: str,
    authority_generation: int,
    problem: str | None,
    parted: str | None = None,
    next_within: int,
) -> bool:
    """Keep what a node says of itself, by the certificate of that serial.

    False: nothing was written, because it was known already, or the certificate is replaced (`replaced`). That is asked
    in the statement that writes, so that of an old and a new one at once the new one stays.
    """
    table = node_reports.c
    said = {
        "healthy": healthy,
        "revision": revision,
        "units": dict(units),
        "credential_generation": credential_generation,
        "authority_generation": authority_generation,
        "parted": parted,
        "problem": problem,
        "next_within": next_within,
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
    done = await conn.execute(
        written.on_conflict_do_update(
            index_elements=["bay_id", "server_id"],
            set_={**said, "reported_at": func.now()},
            where=~_is_replaced(serial, authority_generation),
        )
    )
    return done.rowcount == 1
