"""Having a CSR signed by a bay's authority (contract §1.14, architecture "Signing").

1. The CSR passes the gate: what needs no bay first, then whether the addresses in it are the bay's own.
2. Who asked the same within ten minutes gets the certificate of then, whether the bus works or not.
3. The request's row is committed. It is the truth; the message only says which row.
4. The message goes straight to the bus. If that has not taken it within a second, we say so at once: the sweep of the
   authority finds the row, and the same request again finds the certificate.
5. The reply wakes us, or we look at the row about once a second; its state is the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from uuid import uuid4

from services.api.csr import Csr, check_addresses, check_csr
from services.api.faces import BAY, CLUSTER, Face
from services.api.factory import Context
from services.api.refusals import Refused, Watched
from services.api.request import Facts
from services.api.usecases.certificates import Certificate, kind_of
from services.api.usecases.lookup import as_uuid
from shared.contracts.http.certificates import CertificateCreate, CertificateWish
from shared.db.repositories import bays, sign_asking, stacks
from shared.db.repositories.sign_asking import Asking, NewRequest, Standing
from shared.db.repositories.sign_requests import PATIENCE, SignOutcome, SignState
from shared.domain import client_profiles
from shared.domain.errors import InvalidInput, Unavailable
from shared.domain.own_addresses import LOOPBACK, foreign, own_networks
from shared.drivers import registry

_LOOK_EVERY: Final = 0.9
"""Seconds; after the first of them the bus has had its time, too."""
_RETRY_AFTER: Final = 5
_SWEPT_AFTER: Final = 8
"""Seconds after which the authority's sweep has found a request that nobody told it of (2 of grace, 5 between)."""


async def sign(
    context: Context, facts: Facts, body: CertificateCreate, wish: CertificateWish, watched: Watched
) -> Certificate:
    """Have a CSR signed.

    Raises:
        InvalidInput: the CSR or the bay is not what it must be; an unknown bay is 400 here, not 404.
        Forbidden: the caller may not have that profile's certificate of that bay.
        Unavailable: no signature in time; the same request again is safe and gets the same certificate.
    """
    watched.bay = body.bay
    kind, face = kind_of(body.ca_cert_type), BAY if body.bay_uuid else CLUSTER
    csr = check_csr(body.csr)  # 1
    asking = Asking(kind, facts.caller.user_id, body.csr, wish.profile, wish.validity_seconds)
    bay = await _standing(context, facts, face, body, asking)
    watched.bay = str(bay.bay_id)
    rule = "certificate:create_reader" if wish.profile == client_profiles.READER else "certificate:create"
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    _check_bay(bay, face, kind)
    _check_profile(bay, wish.profile)
    await _check_addresses(context, bay, csr)
    if bay.pem is not None:  # 2
        return Certificate(bay.bay_id, bay.pem, body.csr)
    match await _asked(context, NewRequest(uuid4(), bay.bay_id, asking)):
        case SignOutcome(state=SignState.SIGNED, pem=str(pem)):
            return Certificate(bay.bay_id, pem, body.csr)
        case SignOutcome(state=SignState.REFUSED, reason=reason):
            raise Refused("refused by the authority", reason or "The CSR was refused.", field="csr")
        case _:
            raise _late(_RETRY_AFTER)


async def _standing(context: Context, facts: Facts, face: Face, body: CertificateCreate, asking: Asking) -> Standing:
    """The one bay that the caller means, with what is known of the request. Raises as `sign`, and Conflict."""
    scope = context.policy.scope(facts.caller, "cluster:get_one_all_projects")
    ident = body.bay
    found = await sign_asking.standing(context.reader, scope, as_uuid(ident) or ident, asking)
    if len(found) > 1:
        raise face.ambiguous()
    if not found:
        field = "bay_uuid" if body.bay_uuid else "cluster_uuid"
        raise Refused("unknown bay", face.missing(ident).message, field=field)
    return found[0]


def _check_bay(bay: Standing, face: Face, kind: str) -> None:
    if bay.tls_disabled:
        raise InvalidInput(f"{face.word} {bay.bay_id} has no certificate authority, because its TLS is disabled.")
    if not bay.can_sign:
        raise InvalidInput(
            f"{face.word} {bay.bay_id} has no {kind} certificate authority yet; its status is {bay.status}."
        )


def _check_profile(bay: Standing, profile: str) -> None:
    """The authority checks it too; here it costs no message, and no place in the queue of those who get something."""
    known = client_profiles.PROFILES.get(profile)
    if known is not None and known.limited and not registry.by_name(bay.driver).reads_groups:
        raise Refused(
            "groups are not read",
            f"This bay's software ({bay.driver}) gives all rights to every certificate, so it can have none of profile "
            f"{profile}.",
            field="profile",
        )


async def _check_addresses(context: Context, bay: Standing, csr: Csr) -> None:
    """Few CSRs of people have addresses, so what the bay's are is asked for only then."""
    if foreign(csr.addresses, LOOPBACK) is None:
        return
    async with context.engine.connect() as conn:
        whole = await bays.get(conn, bay.bay_id)
        nodes = await stacks.nodes_of(conn, bay.bay_id)
    if whole is None:
        raise _gone()
    known = [whole.api_address, *(address for node in nodes for address in (node.address, node.private_address))]
    check_addresses(csr, (*own_networks(whole.driver, whole.spec, known), *context.settings.owner_networks))


async def _asked(context: Context, request: NewRequest) -> SignOutcome:
    """Steps 3 to 5, ten seconds for all of it: a database that hangs must not hold the caller longer either."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await context.sign_path.ask(request)  # 3
            return await _decided(context, request)
    except TimeoutError:
        raise _late(_RETRY_AFTER) from None


async def _decided(context: Context, request: NewRequest) -> SignOutcome:
    with context.replies.waiting_for(request.id) as arrived:
        telling = context.sign_path.tell(request)  # 4
        telling.add_done_callback(lambda told: None if _took(told) else arrived.set())
        while True:
            await _wait(arrived)  # 5
            outcome = await context.sign_path.look(request.id)
            if outcome is None:
                raise _gone()
            if outcome.state is not SignState.PENDING:
                return outcome
            if not _took(telling):
                raise _late(_SWEPT_AFTER)


def _took(telling: asyncio.Future[bool]) -> bool:
    """Whether the bus has the message for certain."""
    return telling.done() and not telling.cancelled() and telling.exception() is None and telling.result()


async def _wait(arrived: asyncio.Event) -> None:
    """For the reply, a moment at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_EVERY):
            await arrived.wait()
    arrived.clear()


def _gone() -> InvalidInput:
    return InvalidInput("The bay was deleted while its certificate was waited for.")


def _late(retry_after: int) -> Unavailable:
    return Unavailable("The certificate was not signed in time. Ask again.", retry_after=retry_after)
