"""A node asks for its certificates (architecture, "Who holds which credential": a node).

1. What can be refused without looking into the cloud is refused here.
2. Question and sign requests are committed in one transaction; a question that was asked before is met again.
3. The provisioner attests the server, then the authority signs; both read the rows, the messages only say which.
4. The reply wakes us, or we look once a second; the row is the answer.

Who is no node of ours always gets the same refusal, so that it tells nothing about which bays there are. Every refusal
is a line of the audit trail.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.csr import check_node_csr
from services.api.errors import TooMany
from services.api.factory import Context
from services.api.usecases import trust
from services.api.usecases.lookup import as_uuid
from services.api.usecases.node_calls import Node
from shared.bus.port import BusUnavailable, PublishFailed
from shared.contracts import encode
from shared.contracts.http.nodes import NodeCertificateCreate, NodeCertificateOut
from shared.contracts.node import NodeAttestRequested
from shared.db.repositories import attestations, bays, node_calls, sign_requests
from shared.db.repositories.attestations import AttestState, Outcome, requester_of
from shared.db.repositories.authorities import audit
from shared.db.repositories.sign_requests import NODE_PREFIX, REPEAT_WITHIN
from shared.domain.bay import Bay, Wanted
from shared.domain.errors import Forbidden, InvalidInput, Unavailable
from shared.domain.node_profiles import NODE, PROFILES
from shared.drivers import registry
from shared.runtime.sealing import seal

_log = structlog.get_logger(__name__)

PATIENCE: Final = 20.0
"""Seconds that a node is kept waiting, times the time scale; after that it asks again."""

UNDECIDED: Final = 50
"""Questions about one bay that may wait for the provisioner."""

REFUSED: Final = "No certificate: bay, server, role, secret and names do not belong together."

_LOOK_EVERY: Final = 1.0
_RETRY_AFTER: Final = 5


@dataclass(frozen=True)
class Question:
    """Who asks for what; `node` is set where the asker proved itself by its present certificate."""

    bay: Bay
    body: NodeCertificateCreate
    node: Node | None
    profiles: tuple[str, ...]

    @property
    def server_id(self) -> str:
        """As Nova writes it."""
        return self.body.server_id.lower()

    @property
    def serial(self) -> str | None:
        """Of the certificate that stands in for the secret."""
        return None if self.node is None else self.node.certificate.serial

    @property
    def digest(self) -> str:
        """By which the same question is met again."""
        body = self.body
        return attestations.question(
            self.server_id, body.role, body.secret or "", self.serial or "", body.csr.strip(), *self.profiles
        )


async def issue(context: Context, ident: str, body: NodeCertificateCreate, node: Node | None) -> NodeCertificateOut:
    """The node's certificates, its first ones or, for a `node` that is known, new ones.

    Raises:
        InvalidInput: a CSR that cannot be signed, whoever sends it.
        Forbidden: this is no node of that bay, or it may not have what it asks for.
        TooMany: too many ask for this bay now.
        Unavailable: no answer in time; the same question again is safe and gets the same answer.
    """
    check_node_csr(body.csr)  # 1
    question = await _question(context, ident, body, node)
    attestation_id = await _ask(context, question)  # 2
    context.committed()
    outcome = await _decided(context, question.bay.id, attestation_id)
    if outcome.state is AttestState.REFUSED:
        raise Forbidden(outcome.reason or REFUSED) if outcome.proven else Forbidden(REFUSED)
    if not outcome.finished:
        raise _late()
    return await _answer(context, question, outcome)


async def _question(context: Context, ident: str, body: NodeCertificateCreate, node: Node | None) -> Question:
    bay_id = as_uuid(ident)
    async with context.engine.connect() as conn:
        bay = None if bay_id is None else await bays.get(conn, bay_id)
    if bay is None:  # no line for what is no bay: anybody could fill the trail
        _log.warning(attestations.REFUSED, bay=ident[:36], server=body.server_id, reason="no such bay")
        raise Forbidden(REFUSED)
    question = Question(bay, body, node, _profiles(bay, body))
    if node is not None and (node.bay_id, node.server_id) != (bay.id, question.server_id):
        await _refuse(context, question, f"It shows the certificate of server {node.server_id} of bay {node.bay_id}.")
    if node is not None and await _replaced(context, node):
        await _refuse(context, question, "It shows a certificate that it has replaced already.")
    if bay.wanted is Wanted.GONE:
        await _refuse(context, question, "The bay is being deleted.")
    if bay.spec.get("tls_disabled") or NODE not in question.profiles:
        await _refuse(context, question, f"A {body.role} of this bay gets no certificates.")
    return question


async def _replaced(context: Context, node: Node) -> bool:
    """Whether somebody shows what the node itself has got rid of in a rotation that is under way."""
    own = node.certificate
    async with context.engine.connect() as conn:
        return await node_calls.replaced(
            conn, node.bay_id, node.server_id, serial=own.serial, generation=own.generation
        )


def _profiles(bay: Bay, body: NodeCertificateCreate) -> tuple[str, ...]:
    """Names of the certificates that such a node gets. Raises Unavailable for a driver that is not here any more."""
    try:
        return tuple(registry.by_name(bay.driver).certificates[body.role])
    except InvalidInput as error:
        raise Unavailable(error.message) from None


async def _refuse(context: Context, question: Question, why: str) -> None:
    requester = requester_of(question.server_id)
    async with context.engine.begin() as conn:
        await audit(conn, question.bay.id, attestations.REFUSED, requester=requester, detail=why)
    _log.warning(attestations.REFUSED, bay=str(question.bay.id), server=question.server_id, reason=why)
    raise Forbidden(REFUSED)


async def _ask(context: Context, question: Question) -> UUID:
    """The row to wait for. Raises TooMany, Unavailable."""
    async with context.engine.begin() as conn:
        known = await attestations.met_again(conn, question.bay.id, question.server_id, question.digest)
        if known is not None:
            return known
        if await attestations.undecided(conn, question.bay.id) >= UNDECIDED:
            raise TooMany("Too many nodes of this bay wait for an answer. Ask again.", retry_after=_RETRY_AFTER)
        return await _write(conn, context.seal_public_key, question)


async def _write(conn: AsyncConnection, key: str | None, question: Question) -> UUID:
    attestation_id, bay, body = uuid4(), question.bay, question.body
    await attestations.add(
        conn,
        id=attestation_id,
        bay_id=bay.id,
        server_id=question.server_id,
        role=body.role,
        digest=question.digest,
        csr=body.csr,
        secret=None if question.node is not None else _sealed(key, body.secret or "", attestation_id),
        serial=question.serial,
    )
    for name in question.profiles:
        await sign_requests.add(
            conn,
            bay_id=bay.id,
            authority_kind=PROFILES[name].authority,
            requester=requester_of(question.server_id),
            csr=body.csr,
            profile=NODE_PREFIX + name,
            patience=REPEAT_WITHIN,
            attestation_id=attestation_id,
        )
    return attestation_id


def _sealed(key: str | None, secret: str, attestation_id: UUID) -> bytes:
    """The secret, for the provisioner's eyes only."""
    if key is None:
        raise Unavailable("Nodes cannot get certificates here: JEROBOAM_SEAL_PUBLIC_KEY_FILE is not set.")
    return seal(key, secret.encode(), attestation_id.bytes)


async def _decided(context: Context, bay_id: UUID, attestation_id: UUID) -> Outcome:
    """Steps 3 and 4, within the patience for all of it."""
    patience = PATIENCE * context.settings.time_scale
    with context.replies.waiting_for(attestation_id) as arrived:
        try:
            async with asyncio.timeout(patience):
                outcome = await _look(context, attestation_id)
                if not outcome.over:
                    await _tell(context, bay_id, attestation_id, patience)
                while not outcome.over:
                    await _wait(arrived)
                    outcome = await _look(context, attestation_id)
                return outcome
        except TimeoutError:
            raise _late() from None


async def _tell(context: Context, bay_id: UUID, attestation_id: UUID, patience: float) -> None:
    message = NodeAttestRequested(bay_id=bay_id, attestation_id=attestation_id, reply_to=context.replies.address)
    try:
        await context.bus.publish([encode(message)], timeout=patience / 2)
    except (PublishFailed, BusUnavailable) as error:
        _log.warning("attestation not told", reason=str(error))  # the provisioner's sweep finds the row


async def _wait(arrived: asyncio.Event) -> None:
    """For the reply, a second at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_EVERY):
            await arrived.wait()
    arrived.clear()


async def _look(context: Context, attestation_id: UUID) -> Outcome:
    async with context.engine.connect() as conn:
        outcome = await attestations.outcome(conn, attestation_id)
    if outcome is None:
        raise Forbidden(REFUSED)  # the bay was deleted meanwhile
    return outcome


async def _answer(context: Context, question: Question, outcome: Outcome) -> NodeCertificateOut:
    """With the authorities that the node is told to trust when it asks what is wanted of it, and no others."""
    async with trust.one_view(context) as conn:
        trusted = await trust.of_node(conn, question.bay.id, question.server_id)
    certificates = {name.removeprefix(NODE_PREFIX): pem for name, pem in outcome.certificates.items()}
    return NodeCertificateOut(
        pem=certificates[NODE],
        certificates=certificates,
        authorities=trusted.bundles,
        shared=outcome.shared,
    )


def _late() -> Unavailable:
    return Unavailable("The certificates were not signed in time. Ask again.", retry_after=_RETRY_AFTER)
