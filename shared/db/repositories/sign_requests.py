"""Sign requests (written by the gateway, decided by certs) and the certificates that come of them.

    sign_requests   pending → signed | refused | expired
    certificates    intended → issued | abandoned          the intent is committed before a key is used

Whoever decides a request holds its row (`lock`) while it writes the intent. Only Postgres's clock counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Select, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.authorities import Authority, audit
from shared.db.tables import certificates, sign_requests

OWNER_PROFILE: Final = "owner"
"""Profile of a certificate that a bay's owner asks for: the subject as given (contract §5.2)."""

NODE_PREFIX: Final = "node:"
"""Before the name of a node's profile (`shared/domain/node_profiles.py`)."""

PATIENCE: Final = timedelta(seconds=10)
"""How long the gateway waits for a signature."""

REPEAT_WITHIN: Final = timedelta(minutes=10)
"""The same CSR of the same requester gets the same certificate for so long."""


class SignState(StrEnum):
    """What has become of a sign request; all but the first are final."""

    PENDING = "pending"
    SIGNED = "signed"
    REFUSED = "refused"
    EXPIRED = "expired"


class CertificateState(StrEnum):
    """Where a certificate stands; `abandoned` was planned but can never be signed, because its key is destroyed."""

    INTENDED = "intended"
    ISSUED = "issued"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class SignRequest:
    """One row of `sign_requests`; `overdue` is Postgres's word on whether its time has passed."""

    id: UUID
    bay_id: UUID
    authority_kind: str
    profile: str
    requester: str
    csr: str
    csr_digest: str
    state: SignState
    overdue: bool
    attestation_id: UUID | None
    """What must be attested before this may be signed; None for a person's request."""


@dataclass(frozen=True)
class SignOutcome:
    """What the gateway answers from: `pem` when signed, `reason` when refused."""

    state: SignState
    reason: str | None
    pem: str | None


@dataclass(frozen=True)
class Certificate:
    """What was recorded of a certificate before it was signed; `serial` is lower-case hexadecimal."""

    id: UUID
    authority_id: UUID
    sign_request_id: UUID | None
    serial: str
    state: CertificateState
    not_before: datetime
    not_after: datetime


_REQUEST = (
    sign_requests.c.id,
    sign_requests.c.bay_id,
    sign_requests.c.authority_kind,
    sign_requests.c.profile,
    sign_requests.c.requester,
    sign_requests.c.csr,
    sign_requests.c.csr_digest,
    sign_requests.c.state,
    (sign_requests.c.expires_at <= func.now()).label("overdue"),
    sign_requests.c.attestation_id,
)
_CERTIFICATE = (
    certificates.c.id,
    certificates.c.authority_id,
    certificates.c.sign_request_id,
    certificates.c.serial,
    certificates.c.state,
    certificates.c.not_before,
    certificates.c.not_after,
)
_HAS_INTENT = exists().where(
    certificates.c.sign_request_id == sign_requests.c.id, certificates.c.state == CertificateState.INTENDED.value
)


def digest_of(csr: str) -> str:
    """By what the same CSR is known again."""
    return hashlib.sha256(csr.strip().encode()).hexdigest()


async def add(
    conn: AsyncConnection,
    *,
    bay_id: UUID,
    authority_kind: str,
    requester: str,
    csr: str,
    profile: str = OWNER_PROFILE,
    patience: timedelta = PATIENCE,
    attestation_id: UUID | None = None,
) -> UUID:
    """Write a pending request that expires after `patience`; its id goes into the message."""
    request_id = uuid4()
    await conn.execute(
        insert(sign_requests).values(
            id=request_id,
            bay_id=bay_id,
            authority_kind=authority_kind,
            profile=profile,
            requester=requester,
            csr=csr,
            csr_digest=digest_of(csr),
            expires_at=func.now() + patience,
            attestation_id=attestation_id,
        )
    )
    return request_id


async def outcome(conn: AsyncConnection, request_id: UUID) -> SignOutcome | None:
    """What has become of a request, None when it (or its bay) is gone."""
    query = (
        select(sign_requests.c.state, sign_requests.c.reason, certificates.c.pem)
        .outerjoin(certificates, certificates.c.id == sign_requests.c.certificate_id)
        .where(sign_requests.c.id == request_id)
    )
    row = (await conn.execute(query)).first()
    return SignOutcome(SignState(row.state), row.reason, row.pem) if row else None


async def get(conn: AsyncConnection, request_id: UUID) -> SignRequest | None:
    """The request, None when it (or its bay) is gone."""
    return await _request(conn, select(*_REQUEST).where(sign_requests.c.id == request_id))


async def lock(conn: AsyncConnection, request_id: UUID) -> SignRequest | None:
    """The request, held until the transaction ends, as is every other for the same CSR, requester and profile.

    Two requests for one CSR lie in two rows, hence the second, advisory lock.
    """
    request = await _request(conn, select(*_REQUEST).where(sign_requests.c.id == request_id).with_for_update())
    if request is not None:
        same = f"{request.bay_id}:{request.requester}:{request.profile}:{request.csr_digest}"
        await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(same, 0))))
    return request


async def unfinished(conn: AsyncConnection, grace: timedelta, limit: int) -> list[UUID]:
    """Requests at least `grace` old that need a hand: still in time, or with a recorded intent (those never expire).

    Newest first, because somebody may still wait for them. Those of nodes come by their attestation.
    """
    query = (
        select(sign_requests.c.id)
        .where(
            sign_requests.c.state == SignState.PENDING.value,
            sign_requests.c.attestation_id.is_(None),
            sign_requests.c.created_at <= func.now() - grace,
            or_(sign_requests.c.expires_at > func.now(), _HAS_INTENT),
        )
        .order_by(sign_requests.c.created_at.desc())
        .limit(limit)
    )
    return list(await conn.scalars(query))


async def expire_overdue(conn: AsyncConnection) -> int:
    """End every pending request whose time has passed before anything was recorded for it; how many."""
    ended = await conn.execute(
        update(sign_requests)
        .where(sign_requests.c.state == SignState.PENDING.value, sign_requests.c.expires_at <= func.now(), ~_HAS_INTENT)
        .values(state=SignState.EXPIRED.value)
    )
    return ended.rowcount


async def expire(conn: AsyncConnection, request_id: UUID) -> None:
    """Nobody waits for it any more."""
    await _end(conn, SignState.EXPIRED, None, None, request_id)


async def refuse(conn: AsyncConnection, request: SignRequest, reason: str) -> None:
    """It will not be signed; `reason` is for its sender. An intent that it had is abandoned."""
    await _end(conn, SignState.REFUSED, reason, None, request.id)
    serial = await conn.scalar(
        update(certificates)
        .where(certificates.c.sign_request_id == request.id, certificates.c.state == CertificateState.INTENDED.value)
        .values(state=CertificateState.ABANDONED.value)
        .returning(certificates.c.serial)
    )
    if serial is not None:
        await audit(conn, request.bay_id, "abandoned", serial=serial, requester=request.requester, detail=reason)


async def known_certificate(conn: AsyncConnection, request: SignRequest, authority_id: UUID) -> Certificate | None:
    """The certificate of this very request, else one of the same CSR, requester and authority within 10 minutes."""
    own = await _certificate(conn, select(*_CERTIFICATE).where(certificates.c.sign_request_id == request.id))
    if own is not None:
        return own
    query = (
        select(*_CERTIFICATE)
        .join(sign_requests, sign_requests.c.id == certificates.c.sign_request_id)
        .where(
            sign_requests.c.bay_id == request.bay_id,
            sign_requests.c.requester == request.requester,
            sign_requests.c.csr_digest == request.csr_digest,
            sign_requests.c.profile == request.profile,
            certificates.c.authority_id == authority_id,
            certificates.c.state != CertificateState.ABANDONED.value,
            certificates.c.created_at > func.now() - REPEAT_WITHIN,
        )
        .order_by(certificates.c.created_at.desc())
        .limit(1)
    )
    return await _certificate(conn, query)


async def intend(
    conn: AsyncConnection, request: SignRequest, authority: Authority, *, serial: str, subject: str, validity: timedelta
) -> Certificate:
    """Record what is about to be signed, with its line in the audit trail.

    Valid from a day ago (late clocks) for `validity` from now, but never beyond the authority.
    """
    now = func.date_trunc("second", func.now())
    row = await conn.execute(
        insert(certificates)
        .values(
            id=uuid4(),
            bay_id=request.bay_id,
            authority_id=authority.id,
            sign_request_id=request.id,
            serial=serial,
            subject=subject,
            profile=request.profile,
            requester=request.requester,
            not_before=now - timedelta(days=1),
            not_after=func.least(now + validity, authority.not_after),
        )
        .returning(*_CERTIFICATE)
    )
    detail = f"{authority.kind} {authority.generation}, {request.profile}: {subject}"
    await audit(conn, request.bay_id, "signing", serial=serial, requester=request.requester, detail=detail)
    values = row.one()._mapping
    return Certificate(**{**values, "state": CertificateState(values["state"])})


async def complete(conn: AsyncConnection, request: SignRequest, certificate: Certificate, pem: str) -> None:
    """The certificate is issued, and so are the requests that wait for it.

    Of two who finish the same intent the first one writes; both made the same bytes.
    """
    issued = await conn.scalar(
        update(certificates)
        .where(certificates.c.id == certificate.id, certificates.c.state == CertificateState.INTENDED.value)
        .values(state=CertificateState.ISSUED.value, pem=pem)
        .returning(certificates.c.id)
    )
    if issued is not None:
        await audit(conn, request.bay_id, "issued", serial=certificate.serial, requester=request.requester)
    await answer_with(conn, request, certificate)


async def answer_with(conn: AsyncConnection, request: SignRequest, certificate: Certificate) -> None:
    """The request is signed by `certificate`, if that is issued; so is the request that the certificate was made for.

    Nothing happens for a certificate that was abandoned meanwhile: the request stays pending and is decided anew.
    """
    state = await conn.scalar(select(certificates.c.state).where(certificates.c.id == certificate.id))
    if state == CertificateState.ISSUED.value:
        ids = [one for one in (request.id, certificate.sign_request_id) if one is not None]
        await _end(conn, SignState.SIGNED, None, certificate.id, *ids)


async def _end(
    conn: AsyncConnection, state: SignState, reason: str | None, certificate_id: UUID | None, *ids: UUID
) -> None:
    await conn.execute(
        update(sign_requests)
        .where(sign_requests.c.id.in_(ids), sign_requests.c.state == SignState.PENDING.value)
        .values(state=state.value, reason=reason, certificate_id=certificate_id)
    )


async def _request(conn: AsyncConnection, query: Select[*tuple[object, ...]]) -> SignRequest | None:
    row = (await conn.execute(query)).first()
    return SignRequest(**{**row._mapping, "state": SignState(row._mapping["state"])}) if row else None


async def _certificate(conn: AsyncConnection, query: Select[*tuple[object, ...]]) -> Certificate | None:
    row = (await conn.execute(query)).first()
    return Certificate(**{**row._mapping, "state": CertificateState(row._mapping["state"])}) if row else None
