"""Certificates of a bay: its authorities' public halves, and signing (contract §1.14, architecture "Signing").

1. The CSR passes the gate: readable, its signature its own, its key strong enough.
2. The request's row is committed. It is the truth; the message only says which row.
3. The message goes straight to the bus, since nobody wants it later than the ten seconds that we wait.
4. The reply wakes us, or we look at the row once a second; its state is the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from services.api.csr import check_csr
from services.api.faces import BAY, CLUSTER, Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup
from shared.bus.port import BusUnavailable, PublishFailed
from shared.contracts import encode
from shared.contracts.certificate import CertificateSignRequested
from shared.contracts.http.base import bad
from shared.contracts.http.certificates import CertificateCreate
from shared.db.repositories import authorities, bays, sign_requests
from shared.db.repositories.sign_requests import PATIENCE, SignOutcome, SignState
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput, NotFound, Unavailable

_log = structlog.get_logger(__name__)

_KINDS: Final = {
    "kubernetes": "kubernetes",
    "etcd": "etcd",
    "front_proxy": "front_proxy",
    "front-proxy": "front_proxy",
}
_LOOK_EVERY: Final = 1.0
_RETRY_AFTER: Final = 5


@dataclass(frozen=True)
class Certificate:
    """A certificate of a bay; `csr` where one was signed."""

    bay_id: UUID
    pem: str
    csr: str | None = None


async def authority(context: Context, facts: Facts, ident: str, kind: str | None) -> Certificate:
    """The bay's authority of that kind, absent = the cluster's own.

    Raises:
        NotFound: no such bay, or it has no authority yet.
    """
    wanted = _kind(kind)
    face = BAY if facts.version <= BAY.sync_until else CLUSTER  # old clients say bay, and send no microversion
    bay = await _bay(context, facts, face, ident, "certificate:get")
    async with context.engine.connect() as conn:
        found = await authorities.current(conn, bay.id, wanted)
    if found is None:
        raise NotFound(f"{face.word} {ident} has no {wanted} certificate authority; its status is {bay.status.value}.")
    return Certificate(bay.id, found.certificate)


async def sign(context: Context, facts: Facts, body: CertificateCreate) -> Certificate:
    """Have a CSR signed.

    Raises:
        InvalidInput: the CSR or the bay is not what it must be; an unknown bay is 400 here, not 404.
        Unavailable: no signature in time; the same request again is safe and gets the same certificate.
    """
    kind = _kind(body.ca_cert_type)
    face = BAY if body.bay_uuid else CLUSTER
    check_csr(body.csr)  # 1
    try:
        bay = await _bay(context, facts, face, body.bay, "certificate:create")
    except NotFound as error:
        raise InvalidInput(error.message, field="bay_uuid" if body.bay_uuid else "cluster_uuid") from None
    if bay.spec.get("tls_disabled"):
        raise InvalidInput(f"{face.word} {bay.id} has no certificate authority, because its TLS is disabled.")
    async with context.engine.begin() as conn:  # 2
        if await authorities.current(conn, bay.id, kind) is None:
            raise InvalidInput(
                f"{face.word} {bay.id} has no {kind} certificate authority yet; its status is {bay.status.value}."
            )
        request_id = await sign_requests.add(
            conn, bay_id=bay.id, authority_kind=kind, requester=facts.caller.user_id, csr=body.csr
        )
    context.committed()
    outcome = await _decided(context, bay.id, request_id)
    match outcome.state:
        case SignState.SIGNED if outcome.pem is not None:
            return Certificate(bay.id, outcome.pem, body.csr)
        case SignState.REFUSED:
            raise InvalidInput(outcome.reason or "The CSR was refused.", field="csr")
        case _:
            raise _late()


async def _decided(context: Context, bay_id: UUID, request_id: UUID) -> SignOutcome:
    """Steps 3 and 4, ten seconds for all of it: a database that hangs must not hold the caller longer either."""
    with context.replies.waiting_for(request_id) as arrived:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await _tell(context, bay_id, request_id)
                while True:
                    await _wait(arrived)
                    outcome = await _look(context, request_id)
                    if outcome.state is not SignState.PENDING:
                        return outcome
        except TimeoutError:
            raise _late() from None


async def _tell(context: Context, bay_id: UUID, request_id: UUID) -> None:
    message = CertificateSignRequested(bay_id=bay_id, sign_request_id=request_id, reply_to=context.replies.address)
    try:
        await context.bus.publish([encode(message)], timeout=PATIENCE.total_seconds() / 2)
    except (PublishFailed, BusUnavailable) as error:
        _log.warning("sign request not told", reason=str(error))  # the sweep of certs finds the row


async def _wait(arrived: asyncio.Event) -> None:
    """For the reply, a second at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_EVERY):
            await arrived.wait()
    arrived.clear()


async def _look(context: Context, request_id: UUID) -> SignOutcome:
    async with context.engine.connect() as conn:
        outcome = await sign_requests.outcome(conn, request_id)
    if outcome is None:
        raise InvalidInput("The bay was deleted while its certificate was waited for.")
    return outcome


async def _bay(context: Context, facts: Facts, face: Face, ident: str, rule: str) -> Bay:
    """The bay, if the caller may; by default who made it may, and an administrator."""
    scope = context.policy.scope(facts.caller, "cluster:get_one_all_projects")
    row_id = (await lookup.find(context.reader, face, scope, ident)).id
    async with context.engine.connect() as conn:
        bay = await bays.get(conn, row_id)
    if bay is None:
        raise face.missing(ident)
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    return bay


def _kind(name: str | None) -> str:
    if name is None:
        return authorities.KINDS[0]
    if name not in _KINDS:
        raise bad("ca_cert_type", name, f"Value should be one of: {', '.join(_KINDS)}")
    return _KINDS[name]


def _late() -> Unavailable:
    return Unavailable("The certificate was not signed in time. Ask again.", retry_after=_RETRY_AFTER)
