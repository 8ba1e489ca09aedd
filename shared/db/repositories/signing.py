"""How the authority decides sign requests: many at a time, each step one statement whatever their number.

Who writes holds the rows of the requests first, then the locks of their wishes; certificates are changed only by who
holds their request. Nobody waits for a lock: what somebody else holds is left out of the batch, because their host may
have lost its power a moment ago, and many others are in the batch. Only Postgres's clock counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.db.repositories.authorities import Authority
from shared.db.repositories.sign_requests import REPEAT_WITHIN, CertificateState, SignRequest, SignState
from shared.db.tables import certificates, sign_requests
from shared.domain import client_profiles

KEPT: Final = timedelta(days=1)
"""How long a decided request stays, and a certificate of the scaler that has ended; other certificates and the trail
stay with the bay."""


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


@dataclass(frozen=True)
class Intent:
    """A certificate that is to be signed for a request, by an authority, for `validity` at most."""

    id: UUID
    request: SignRequest
    authority: Authority
    serial: str
    subject: str
    validity: timedelta

    @property
    def detail(self) -> str:
        """What the audit trail says of it."""
        return f"{self.authority.kind} {self.authority.generation}, {self.request.profile}: {self.subject}"


@dataclass(frozen=True)
class Decision:
    """How a pending request ends."""

    request_id: UUID
    state: SignState
    reason: str | None = None
    certificate_id: UUID | None = None


_HAS_INTENT = exists().where(
    certificates.c.sign_request_id == sign_requests.c.id, certificates.c.state == CertificateState.INTENDED.value
)
# Written out, because the planner takes a partial index only for a condition that it sees.
_PENDING = text("sign_requests.state = 'pending'")
_SCALERS = text(f"certificates.profile = '{client_profiles.SCALER}'")
_DECIDED = text("sign_requests.state <> 'pending' AND sign_requests.attestation_id IS NULL")


async def load(conn: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, SignRequest]:
    """The requests that are there; those of bays that are gone are gone too."""
    rows = await conn.execute(_LOAD, {"ids": list(ids)})
    return {row.id: SignRequest(**{**row._mapping, "state": SignState(row.state)}) for row in rows}


_LOAD: Final = text("""
    SELECT id, bay_id, authority_kind, profile, requester, csr, csr_digest, state, validity_seconds, attestation_id,
           CAST(extract(epoch FROM now() - created_at) AS float8) AS age
    FROM sign_requests WHERE id = ANY(CAST(:ids AS uuid[]))
""")


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction of the sign path. Should it come to wait for a lock after all, it fails after 2 s."""
    async with engine.begin() as conn:
        await conn.execute(_IMPATIENT)
        yield conn


_IMPATIENT: Final = text("SET LOCAL lock_timeout = '2s'")


@dataclass(frozen=True)
class Held:
    """What of some requests a transaction holds until it ends."""

    overdue: dict[UUID, bool]
    """Those that are pending, each with whether its time is over."""
    elsewhere: frozenset[UUID]
    """Those that somebody else holds, or whose wish or bay; or they are gone."""


async def lock(conn: AsyncConnection, requests: Collection[SignRequest]) -> Held:
    """Hold the requests, and with each its wish: two requests for one CSR lie in two rows.

    Their bays are held, too, because a certificate's row refers to its bay, and its insertion would wait there.
    """
    rows = (await conn.execute(_LOCK, {"ids": [one.id for one in requests]})).all()
    pending = {row.id: bool(row.overdue) for row in rows if row.state == SignState.PENDING.value}
    wishes = {one.id: ":".join(map(str, one.wish)) for one in requests if one.id in pending}
    ours = set(await conn.scalars(_LOCK_WISHES, {"wishes": list(set(wishes.values()))})) if wishes else set()
    elsewhere = {one.id for one in requests} - {row.id for row in rows}
    elsewhere |= {request_id for request_id, wish in wishes.items() if wish not in ours}
    overdue = {request_id: late for request_id, late in pending.items() if request_id not in elsewhere}
    return Held(overdue, frozenset(elsewhere))


_LOCK: Final = text("""
    SELECT sign_requests.id, sign_requests.state, expires_at <= now() AS overdue
    FROM sign_requests JOIN bays ON bays.id = sign_requests.bay_id
    WHERE sign_requests.id = ANY(CAST(:ids AS uuid[]))
    FOR UPDATE OF sign_requests SKIP LOCKED FOR KEY SHARE OF bays SKIP LOCKED
""")
_LOCK_WISHES: Final = text("""
    WITH tried AS MATERIALIZED (
        SELECT wish, pg_try_advisory_xact_lock(hashtextextended(wish, 0)) AS ours
        FROM unnest(CAST(:wishes AS text[])) AS wish
    )
    SELECT wish FROM tried WHERE ours
""")


async def known(
    conn: AsyncConnection, requests: Collection[SignRequest], authority_ids: Collection[UUID]
) -> dict[UUID, Certificate]:
    """By request: the certificate of this very request, else the newest for the same wish within 10 minutes that is by
    one of these authorities, of which each bay and kind has one at most."""
    values = {"ids": [one.id for one in requests], "authorities": list(authority_ids), "within": REPEAT_WITHIN}
    return {row.asking_id: _certificate(row._mapping) for row in await conn.execute(_KNOWN, values)}


_KNOWN: Final = text("""
    SELECT DISTINCT ON (asking.id) asking.id AS asking_id, made.id, made.authority_id, made.sign_request_id,
           made.serial, made.state, made.not_before, made.not_after
    FROM sign_requests AS asking
    JOIN sign_requests AS before ON before.bay_id = asking.bay_id AND before.requester = asking.requester
         AND before.csr_digest = asking.csr_digest
    JOIN certificates AS made ON made.sign_request_id = before.id
    WHERE asking.id = ANY(CAST(:ids AS uuid[])) AND (
        before.id = asking.id
        OR made.state <> 'abandoned' AND made.created_at > now() - CAST(:within AS interval)
           AND made.authority_id = ANY(CAST(:authorities AS uuid[]))
           AND before.authority_kind = asking.authority_kind AND before.profile = asking.profile
           AND before.validity_seconds IS NOT DISTINCT FROM asking.validity_seconds
    )
    ORDER BY asking.id, before.id = asking.id DESC, made.created_at DESC
""")


async def intend(conn: AsyncConnection, intents: Sequence[Intent]) -> dict[UUID, Certificate]:
    """Record what is about to be signed, each with its line in the audit trail; the certificates by their ids.

    Valid from a day ago (late clocks) for the intent's validity from now, but never beyond the authority.
    """
    columns: dict[str, list[object]] = {
        "ids": [one.id for one in intents],
        "requests": [one.request.id for one in intents],
        "authorities": [one.authority.id for one in intents],
        "serials": [one.serial for one in intents],
        "subjects": [one.subject for one in intents],
        "seconds": [one.validity.total_seconds() for one in intents],
        "details": [one.detail for one in intents],
    }
    rows = await conn.execute(_INTEND, columns) if intents else ()
    return {row.id: _certificate(row._mapping) for row in rows}


_INTEND: Final = text("""
    WITH new AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:requests AS uuid[]), CAST(:authorities AS uuid[]), CAST(:serials AS text[]),
            CAST(:subjects AS text[]), CAST(:seconds AS float8[]), CAST(:details AS text[])
        ) AS new (id, request_id, authority_id, serial, subject, seconds, detail)
    ), made AS (
        INSERT INTO certificates (id, bay_id, authority_id, sign_request_id, serial, subject, profile, requester,
                                  not_before, not_after)
        SELECT new.id, asked.bay_id, authorities.id, asked.id, new.serial, new.subject, asked.profile, asked.requester,
               date_trunc('second', now()) - interval '1 day',
               date_trunc('second', least(now() + make_interval(secs => new.seconds), authorities.not_after))
        FROM new
        JOIN sign_requests AS asked ON asked.id = new.request_id
        JOIN authorities ON authorities.id = new.authority_id
        RETURNING id, bay_id, authority_id, sign_request_id, serial, requester, state, not_before, not_after
    ), lines AS (
        INSERT INTO certificate_audit (bay_id, action, serial, requester, detail)
        SELECT made.bay_id, 'signing', made.serial, made.requester, new.detail FROM made JOIN new ON new.id = made.id
    )
    SELECT id, authority_id, sign_request_id, serial, state, not_before, not_after FROM made
""")


async def decide(conn: AsyncConnection, decisions: Collection[Decision]) -> None:
    """End requests that are pending. The intent of one that is refused is abandoned, with its line in the trail."""
    columns: dict[str, list[object]] = {
        "ids": [one.request_id for one in decisions],
        "states": [one.state.value for one in decisions],
        "reasons": [one.reason for one in decisions],
        "certificates": [one.certificate_id for one in decisions],
    }
    if decisions:
        await conn.execute(_DECIDE, columns)
    if refused := [one for one in decisions if one.state is SignState.REFUSED]:
        await conn.execute(
            _ABANDON, {"ids": [one.request_id for one in refused], "reasons": [one.reason for one in refused]}
        )


_DECIDE: Final = text("""
    UPDATE sign_requests SET state = new.state, reason = new.reason, certificate_id = new.certificate_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:certificates AS uuid[]))
         AS new (id, state, reason, certificate_id)
    WHERE sign_requests.id = new.id AND sign_requests.state = 'pending'
""")
_ABANDON: Final = text("""
    WITH gone AS (
        UPDATE certificates SET state = 'abandoned'
        FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS refused (id, reason)
        WHERE certificates.sign_request_id = refused.id AND certificates.state = 'intended'
        RETURNING certificates.bay_id, certificates.serial, certificates.requester, refused.reason
    )
    INSERT INTO certificate_audit (bay_id, action, serial, requester, detail)
    SELECT bay_id, 'abandoned', serial, requester, reason FROM gone
""")


@dataclass(frozen=True)
class Issued:
    """A certificate that is signed, for a request."""

    request_id: UUID
    certificate: Certificate
    pem: str

    @property
    def owner_id(self) -> UUID:
        """The request that the certificate was recorded for."""
        return self.certificate.sign_request_id or self.request_id


@dataclass(frozen=True)
class Completed:
    """What has become of requests whose certificates were to be issued."""

    signed: frozenset[UUID]
    elsewhere: frozenset[UUID]
    """Somebody else holds these, or they are gone; nothing was changed."""


async def complete(conn: AsyncConnection, issued: Sequence[Issued]) -> Completed:
    """The certificates are issued, and so are the requests that wait for them.

    Of two who finish the same intent the first one writes; both made the same bytes. A request whose certificate was
    abandoned meanwhile stays pending and is decided anew.
    """
    ids = {one.request_id for one in issued} | {one.owner_id for one in issued}
    held = set(await conn.scalars(_HOLD, {"ids": list(ids)}))
    ours = [one for one in issued if {one.request_id, one.owner_id} <= held]
    pairs = {(one.request_id, one.certificate.id) for one in ours} | {
        (one.owner_id, one.certificate.id) for one in ours
    }
    pems = {one.certificate.id: one.pem for one in ours}
    await conn.execute(_ISSUE, {"ids": list(pems), "pems": list(pems.values())})
    columns = {"requests": [one for one, _ in pairs], "certificates": [one for _, one in pairs]}
    signed = await conn.scalars(_SIGNED, columns)
    return Completed(frozenset(signed), frozenset(one.request_id for one in issued if one not in ours))


_HOLD: Final = text("SELECT id FROM sign_requests WHERE id = ANY(CAST(:ids AS uuid[])) FOR UPDATE SKIP LOCKED")
_ISSUE: Final = text("""
    WITH issued AS (
        UPDATE certificates SET state = 'issued', pem = new.pem
        FROM unnest(CAST(:ids AS uuid[]), CAST(:pems AS text[])) AS new (id, pem)
        WHERE certificates.id = new.id AND certificates.state = 'intended'
        RETURNING certificates.bay_id, certificates.serial, certificates.requester
    )
    INSERT INTO certificate_audit (bay_id, action, serial, requester)
    SELECT bay_id, 'issued', serial, requester FROM issued
""")
_SIGNED: Final = text("""
    UPDATE sign_requests SET state = 'signed', certificate_id = certificates.id
    FROM unnest(CAST(:requests AS uuid[]), CAST(:certificates AS uuid[])) AS new (request_id, certificate_id)
    JOIN certificates ON certificates.id = new.certificate_id AND certificates.state = 'issued'
    WHERE sign_requests.id = new.request_id AND sign_requests.state = 'pending'
    RETURNING sign_requests.id
""")


async def unfinished(conn: AsyncConnection, grace: timedelta, limit: int, oldest: timedelta | None) -> list[UUID]:
    """Requests at least `grace` old, and `oldest` at most if it is given, that need a hand: still in time, or with a
    recorded intent (those never expire).

    Newest first, because somebody may still wait for them. Those of nodes come by their attestation.
    """
    young = [] if oldest is None else [sign_requests.c.created_at > func.now() - oldest]
    query = (
        select(sign_requests.c.id)
        .where(
            _PENDING,
            sign_requests.c.attestation_id.is_(None),
            sign_requests.c.created_at <= func.now() - grace,
            or_(sign_requests.c.expires_at > func.now(), _HAS_INTENT),
            *young,
        )
        .order_by(sign_requests.c.created_at.desc())
        .limit(limit)
    )
    return list(await conn.scalars(query))


async def expire_overdue(conn: AsyncConnection, limit: int) -> int:
    """End up to `limit` pending requests whose time has passed before anything was recorded for them; how many.

    Their rows are held first and only then looked at for an intent: one that was written in between is seen.
    """
    overdue = (
        select(sign_requests.c.id)
        .where(_PENDING, sign_requests.c.expires_at <= func.now(), ~_HAS_INTENT)
        .order_by(sign_requests.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(await conn.scalars(overdue))
    ended = await conn.execute(
        update(sign_requests)
        .where(sign_requests.c.id.in_(ids), _PENDING, ~_HAS_INTENT)
        .values(state=SignState.EXPIRED.value)
    )
    return ended.rowcount


async def prune(conn: AsyncConnection, limit: int) -> int:
    """Remove up to `limit` people's requests that were decided and are a day old, and as many of our scaler's
    certificates that ended a day ago, of which each bay has one an hour; how many. Nodes' requests stay with their
    attestation, and what was issued to whom stays in the audit trail."""
    old = (
        select(sign_requests.c.id)
        .where(_DECIDED, sign_requests.c.created_at < func.now() - KEPT)
        .order_by(sign_requests.c.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ended = (
        select(certificates.c.id)
        .where(_SCALERS, certificates.c.not_after < func.now() - KEPT)
        .order_by(certificates.c.not_after)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = await conn.execute(delete(sign_requests).where(sign_requests.c.id.in_(old)))
    away = await conn.execute(delete(certificates).where(certificates.c.id.in_(ended)))
    return gone.rowcount + away.rowcount


def _certificate(row: RowMapping) -> Certificate:
    names = ("id", "authority_id", "sign_request_id", "serial", "not_before", "not_after")
    return Certificate(state=CertificateState(row["state"]), **{name: row[name] for name in names})
