"""Nodes that ask for their certificates: asked by the gateway, judged by the provisioner, finished by certs.

    pending → attested → (finished_at: every certificate is signed)
    pending | attested → refused
    pending | attested → expired       nobody came back for it in time

The certificates themselves are `sign_requests` that hang on the attestation; none is signed before it is attested.
Only Postgres's clock counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.authorities import audit
from shared.db.repositories.sign_requests import REPEAT_WITHIN, SignState, digest_of
from shared.db.tables import attestations, certificates, sign_requests

REFUSED: Final = "node_refused"
"""The audit trail's word for every refusal of a node, whoever refuses."""

KEPT: Final = timedelta(days=1)
"""How long a refused or expired row stays, for people who look into it. Attested ones stay with the bay."""


class AttestState(StrEnum):
    """What has become of it."""

    PENDING = "pending"
    ATTESTED = "attested"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Attestation:
    """One row. `serial` is that of the certificate by which a known node asks again; None: it showed its secret."""

    id: UUID
    bay_id: UUID
    server_id: str
    role: str
    csr: str
    csr_digest: str
    serial: str | None
    state: AttestState
    node_name: str | None
    created_at: datetime
    finished: bool

    @property
    def first(self) -> bool:
        """Whether this is the server's first certificate."""
        return self.serial is None

    @property
    def requester(self) -> str:
        """As whom the node stands in sign requests, certificates and the audit trail."""
        return requester_of(self.server_id)


@dataclass(frozen=True)
class Outcome:
    """What the gateway answers from. `proven`: who asked is that server, so a refusal may be told to it."""

    state: AttestState
    finished: bool
    proven: bool
    reason: str | None
    shared: str | None
    certificates: Mapping[str, str]
    """The signed ones, PEM by profile as the sign request has it; none before all are."""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.finished or self.state in (AttestState.REFUSED, AttestState.EXPIRED)


def requester_of(server_id: str) -> str:
    """The requester's name of a node."""
    return f"node:{server_id}"


# Written out, because the planner takes a partial index only for a state that it sees.
_IS_PENDING = text("attestations.state = 'pending'")
_IS_ATTESTED = text("attestations.state = 'attested'")
_IS_OVER = text("attestations.state IN ('refused', 'expired')")

_ROW = (
    attestations.c.id,
    attestations.c.bay_id,
    attestations.c.server_id,
    attestations.c.role,
    attestations.c.csr,
    attestations.c.csr_digest,
    attestations.c.serial,
    attestations.c.state,
    attestations.c.node_name,
    attestations.c.created_at,
    attestations.c.finished_at.is_not(None).label("finished"),
)


def question(*parts: str) -> str:
    """The digest by which the same question is met again; a secret among its parts cannot be read from it."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def add(
    conn: AsyncConnection,
    *,
    id: UUID,  # noqa: A002
    bay_id: UUID,
    server_id: str,
    role: str,
    digest: str,
    csr: str,
    secret: bytes | None,
    serial: str | None,
) -> None:
    """Write a pending row; `secret` is sealed for the provisioner."""
    await conn.execute(
        insert(attestations).values(
            id=id,
            bay_id=bay_id,
            server_id=server_id,
            role=role,
            digest=digest,
            csr=csr,
            csr_digest=digest_of(csr),
            secret=secret,
            serial=serial,
            expires_at=func.now() + REPEAT_WITHIN,
        )
    )


async def met_again(conn: AsyncConnection, bay_id: UUID, server_id: str, digest: str) -> UUID | None:
    """The row of the same question that is not refused and not older than 10 minutes."""
    query = (
        select(attestations.c.id)
        .where(
            attestations.c.bay_id == bay_id,
            attestations.c.server_id == server_id,
            attestations.c.digest == digest,
            attestations.c.state.in_([AttestState.PENDING.value, AttestState.ATTESTED.value]),
            attestations.c.expires_at > func.now(),
        )
        .order_by(attestations.c.created_at.desc())
        .limit(1)
    )
    found: UUID | None = await conn.scalar(query)
    return found


async def undecided(conn: AsyncConnection, bay_id: UUID) -> int:
    """How many questions about the bay nobody has judged yet."""
    query = (
        select(func.count())
        .select_from(attestations)
        .where(
            attestations.c.bay_id == bay_id,
            attestations.c.state == AttestState.PENDING.value,
            attestations.c.expires_at > func.now(),
        )
    )
    return int(await conn.scalar(query) or 0)


async def get(conn: AsyncConnection, attestation_id: UUID) -> Attestation | None:
    """The row, None when it (or its bay) is gone."""
    return (await get_all(conn, [attestation_id])).get(attestation_id)


async def get_all(conn: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Attestation]:
    """Those of the rows that are there, by id."""
    rows = await conn.execute(select(*_ROW).where(attestations.c.id.in_(ids)))
    return {row.id: Attestation(**{**row._mapping, "state": AttestState(row.state)}) for row in rows}


async def sealed_secret(conn: AsyncConnection, attestation_id: UUID) -> bytes | None:
    """The secret that the node showed, sealed; the provisioner's alone, and gone once it is judged."""
    found: bytes | None = await conn.scalar(select(attestations.c.secret).where(attestations.c.id == attestation_id))
    return found


async def outcome(conn: AsyncConnection, attestation_id: UUID) -> Outcome | None:
    """What has become of it and of its certificates; None when it (or its bay) is gone."""
    columns = (attestations.c.state, attestations.c.proven, attestations.c.reason, attestations.c.shared)
    finished = attestations.c.finished_at.is_not(None).label("finished")
    query = select(*columns, finished).where(attestations.c.id == attestation_id)
    row = (await conn.execute(query)).first()
    if row is None:
        return None
    signed = (
        select(sign_requests.c.profile, certificates.c.pem)
        .join(certificates, certificates.c.id == sign_requests.c.certificate_id)
        .where(sign_requests.c.attestation_id == attestation_id)
    )
    pems = {one.profile: one.pem for one in await conn.execute(signed)} if row.finished else {}
    return Outcome(AttestState(row.state), row.finished, row.proven, row.reason, row.shared, pems)


async def waiting(conn: AsyncConnection, *, grace: timedelta, within: timedelta, limit: int) -> list[UUID]:
    """Pending rows older than `grace`, whose message may be lost, and younger than `within`; newest first."""
    born = attestations.c.created_at
    query = (
        select(attestations.c.id)
        .where(_IS_PENDING, born <= func.now() - grace, born > func.now() - within)
        .order_by(attestations.c.created_at.desc())
        .limit(limit)
    )
    return list(await conn.scalars(query))


async def approve(conn: AsyncConnection, attestation: Attestation, node_name: str) -> bool:
    """The server is who it says it is. False: it has had its first certificate, for another CSR; nothing is changed.

    Two first requests of one server lie in two rows, hence the advisory lock.
    """
    same = f"attest:{attestation.bay_id}:{attestation.server_id}"
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(same, 0))))
    if attestation.first and await _has_other(conn, attestation):
        return False
    await conn.execute(
        update(attestations)
        .where(attestations.c.id == attestation.id, attestations.c.state == AttestState.PENDING.value)
        .values(state=AttestState.ATTESTED.value, proven=True, node_name=node_name, secret=None)
    )
    return True


async def _has_other(conn: AsyncConnection, attestation: Attestation) -> bool:
    query = select(func.count()).where(
        attestations.c.bay_id == attestation.bay_id,
        attestations.c.server_id == attestation.server_id,
        attestations.c.state == AttestState.ATTESTED.value,
        attestations.c.serial.is_(None),
        attestations.c.csr_digest != attestation.csr_digest,
    )
    return bool(await conn.scalar(query))


async def refuse(conn: AsyncConnection, attestation: Attestation, reason: str, *, proven: bool) -> None:
    """The provisioner's no, with its line in the audit trail; of two who judge at once, one writes."""
    values = {"state": AttestState.REFUSED.value, "reason": reason, "proven": proven, "secret": None}
    await _refuse(conn, attestation, AttestState.PENDING, reason, values)


async def cannot_sign(conn: AsyncConnection, attestation: Attestation, reason: str) -> None:
    """The authority's no to a server that was attested."""
    values = {"state": AttestState.REFUSED.value, "reason": reason}
    await _refuse(conn, attestation, AttestState.ATTESTED, reason, values)


async def _refuse(
    conn: AsyncConnection, attestation: Attestation, state: AttestState, reason: str, values: Mapping[str, object]
) -> None:
    refused = await conn.scalar(
        update(attestations)
        .where(attestations.c.id == attestation.id, attestations.c.state == state.value)
        .values(values)
        .returning(attestations.c.id)
    )
    if refused is not None:
        await audit(conn, attestation.bay_id, REFUSED, requester=attestation.requester, detail=reason)


async def unfinished(conn: AsyncConnection, grace: timedelta, limit: int, oldest: timedelta | None) -> list[UUID]:
    """Attested rows at least `grace` old, and `oldest` at most if it is given, that have not got all their
    certificates; newest first."""
    young = [] if oldest is None else [attestations.c.created_at > func.now() - oldest]
    query = (
        select(attestations.c.id)
        .where(
            _IS_ATTESTED,
            attestations.c.finished_at.is_(None),
            attestations.c.created_at <= func.now() - grace,
            *young,
        )
        .order_by(attestations.c.created_at.desc())
        .limit(limit)
    )
    return list(await conn.scalars(query))


async def requests_of(conn: AsyncConnection, attestation_id: UUID) -> dict[UUID, SignState]:
    """The sign requests that hang on it, with what has become of each."""
    query = select(sign_requests.c.id, sign_requests.c.state).where(sign_requests.c.attestation_id == attestation_id)
    return {row.id: SignState(row.state) for row in await conn.execute(query)}


async def certificate_of(conn: AsyncConnection, attestation_id: UUID, profile: str) -> str | None:
    """The certificate that was signed for it under a profile."""
    query = (
        select(certificates.c.pem)
        .join(sign_requests, sign_requests.c.certificate_id == certificates.c.id)
        .where(sign_requests.c.attestation_id == attestation_id, sign_requests.c.profile == profile)
    )
    found: str | None = await conn.scalar(query)
    return found


async def reason_of(conn: AsyncConnection, attestation_id: UUID) -> str | None:
    """Why one of its sign requests was refused."""
    query = select(sign_requests.c.reason).where(
        sign_requests.c.attestation_id == attestation_id, sign_requests.c.state == SignState.REFUSED.value
    )
    found: str | None = await conn.scalar(query.limit(1))
    return found


async def finish(conn: AsyncConnection, attestation_id: UUID, shared: str | None) -> None:
    """Every certificate is signed. Of two who finish at once the first one writes."""
    await conn.execute(
        update(attestations)
        .where(attestations.c.id == attestation_id, attestations.c.finished_at.is_(None))
        .values(finished_at=func.now(), shared=shared)
    )


async def expire(conn: AsyncConnection, attestation_id: UUID) -> None:
    """It was attested, but its certificates were not signed in time; the server may ask anew."""
    await conn.execute(
        update(attestations)
        .where(attestations.c.id == attestation_id, attestations.c.finished_at.is_(None))
        .values(state=AttestState.EXPIRED.value)
    )


async def tidy(conn: AsyncConnection) -> None:
    """End what was not judged in time, and remove what was refused or expired a day ago."""
    await conn.execute(
        update(attestations)
        .where(_IS_PENDING, attestations.c.expires_at <= func.now())
        .values(state=AttestState.EXPIRED.value, secret=None)
    )
    await conn.execute(delete(attestations).where(_IS_OVER, attestations.c.created_at < func.now() - KEPT))
