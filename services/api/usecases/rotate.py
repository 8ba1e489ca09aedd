"""Rotation of a cluster's cloud credential (contract §1.15); that of its authorities is in `rotate_ca`.

    1. Look whether the cluster takes it now, and commit the intent of the next generation, under the cluster's lock.
    2. Make and seal it with the caller's own token; it belongs to that user from then on.
    3. Look again, and in one transaction store it and queue the operation that brings it to the nodes.

The old one stays valid until every node uses the new one.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import credentials, lookup
from services.api.usecases.effective import Place, facts_of_bay
from services.api.usecases.plan_bay import check_kind, check_our_role
from shared.db.repositories import operations, stacks
from shared.domain.bay import Bay
from shared.domain.errors import ClientFault, Conflict, Forbidden, InvalidInput
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from shared.drivers import registry
from shared.drivers.common.access import Rules

ROTATE_MINUTES: Final = 30
"""How long nodes may take. They look every 5 ± 2 min; the cluster's own timeout is about building servers."""

MOST_INTENTS: Final = 10
"""Credentials of one cluster that were begun and not accepted; the sweep removes them in time."""

TOO_MANY: Final = "Too many credentials of this cluster were begun and not finished. Ask again in some minutes."
NONE_THERE: Final = "The nodes of this cluster do not use the cloud, so there is no credential to rotate."
UNREACHABLE: Final = (
    "The nodes of a cluster without TLS have no certificate, so no new credential can be encrypted to them."
)
ELSEWHERE: Final = "The credential is made with your token, which must be of the cluster's own project."


async def credential(context: Context, facts: Facts, ident: str) -> UUID:
    """Give the cluster's nodes another credential; its id. A member of the project may, an administrator as such not.

    Raises:
        NotFound, Conflict: there is no such cluster, or several; or too many operations wait, or too many credentials
            were begun; or a later rotation was faster.
        Forbidden: the policy says no, or our service user may not act in the project.
        InvalidInput: its state does not take it, its nodes have none, or this token may not make one.
        CloudError: Keystone failed or did not answer.
    """
    credentials.seal_key(context)
    async with context.engine.begin() as conn:
        bay, _ = await _rotatable(context, facts, conn, ident)
    await check_our_role(context, bay.project_id)  # asks Keystone, so not under the lock
    async with context.engine.begin() as conn:  # 1
        bay, generation = await _rotatable(context, facts, conn, ident)
        await credentials.intend(conn, facts, bay.id, generation)
    made = await credentials.make_intended(context, facts, bay.id, generation, _rules(context, facts, bay))  # 2
    try:
        await _accept(context, facts, made)  # 3
    except ClientFault:  # surely rolled back; of anything else we do not know whether the commit came through
        await credentials.take_back(context, facts, made)
        raise
    context.committed()
    return bay.id


async def _rotatable(context: Context, facts: Facts, conn: AsyncConnection, ident: str) -> tuple[Bay, int]:
    """The cluster, locked, and the number of its next credential."""
    bay = await lookup.hold(context, conn, CLUSTER, facts.caller, ident)
    rule = "credential:rotate"
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    if facts.caller.project_id != bay.project_id:
        raise Forbidden(ELSEWHERE)
    check_kind(registry.by_name(bay.driver), OperationKind.ROTATE_CREDENTIALS)
    generation = await stacks.next_generation(conn, bay.id)
    if generation is None:
        raise InvalidInput(NONE_THERE)
    if bay.spec.get("tls_disabled"):
        raise InvalidInput(UNREACHABLE)
    operations.check_state(bay, Door.ROTATE, context.settings.busy, CLUSTER.one)
    if await stacks.open_intents(conn, bay.id) >= MOST_INTENTS:
        raise Conflict(TOO_MANY)
    return bay, generation


async def _accept(context: Context, facts: Facts, made: credentials.NodeCredential) -> None:
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, str(made.bay_id))
        await operations.ask(
            conn,
            bay,
            kind=OperationKind.ROTATE_CREDENTIALS,
            request={"credential_generation": made.generation},
            requested_by=facts.caller.user_id,
            timeout_minutes=ROTATE_MINUTES,
            busy=context.settings.busy,
            door=Door.ROTATE,
            word=CLUSTER.one,
        )
        await credentials.keep(conn, made)


def _rules(context: Context, facts: Facts, bay: Bay) -> Rules:
    """What the driver lets the credential do."""
    place = Place(f"{facts.base_url}/v1", context.settings.keystone_url, context.settings.region)
    return registry.by_name(bay.driver).access_rules(facts_of_bay(bay, bay.node_count, place))
