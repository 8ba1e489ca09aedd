"""Rotation of a cluster's certificate authorities: asked for, looked at, undone (contract §1.14).

The authority leads it (`services.certs`) and the nodes follow by themselves; `shared.domain.rotation` has the phases.
Here everything happens under the cluster's lock, so whoever asks and whoever undoes follow one another.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import BAY, CLUSTER, Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup
from shared.db.repositories import operations, rotations
from shared.domain.bay import Bay
from shared.domain.errors import Conflict, InvalidInput, NotFound
from shared.domain.operation import FLOWS, OperationKind
from shared.domain.queue import Door, Live
from shared.domain.rotation import Rotation
from shared.drivers import registry

_RULE: Final = "certificate:rotate_ca"

NO_TLS: Final = "Rotating the CA certificate on a non-TLS cluster is not supported."
NO_FLOW: Final = "Rotating the CA certificate is not supported by this driver."
UNDER_WAY: Final = "The certificate authority of this cluster is being rotated already."
UNDONE: Final = (
    "The last rotation of this cluster's certificate authority was undone, and the way back is not over yet."
    " If it failed, undo it once more."
)
ENDS: Final = (
    "The previous certificate authority of this cluster has ended, or would end before the nodes are back,"
    " so this rotation cannot be undone. Ask for the rotation again to finish it."
)
NOT_BEGUN: Final = "The certificate authority of this cluster is not being rotated."
LAST_PHASE: Final = (
    "The nodes stop to trust the old certificate authority already, so this rotation cannot be undone any more."
    " If it failed, ask for the rotation again to finish it."
)


async def ask(context: Context, facts: Facts, ident: str) -> UUID:
    """Give the cluster other certificate authorities, or finish the rotation that was begun; the cluster's id.

    One that waits for its turn is the one that is asked for, so that asking twice does not rotate twice. One that was
    undone goes forward after all where the previous authority ends too soon for the way back.

    Raises:
        NotFound, Conflict: there is no such cluster, or several; or it is being rotated; or a rotation is being undone.
        Forbidden: the policy says no.
        InvalidInput: it has no authority, its driver has no flow for it, or its state does not take it.
    """
    async with context.engine.begin() as conn:
        bay = await _rotatable(context, facts, conn, ident)
        operations.check_state(bay, Door.ROTATE_CA, context.settings.busy, face_of(facts).one)
        rotation = await rotations.of(conn, bay.id)
        resumed = rotation is not None and rotation.undone
        if rotation is not None and resumed:
            await _resume(conn, bay, rotation)
        asked = await _asked(conn, bay.id)
        if asked is not None and not asked.queued and not resumed:
            raise Conflict(UNDER_WAY)
        if asked is None:
            await _queue(context, facts, conn, bay)
    context.committed()
    return bay.id


async def undo(context: Context, facts: Facts, ident: str) -> UUID:
    """Let the cluster keep the authorities that it had before the rotation that is not over; the cluster's id.

    1. The target is turned back, unless the last phase has begun: who leads the rotation cannot begin it meanwhile.
    2. An operation under way, or one that waits, goes on towards that, with all the time of a rotation from now; if
       there is none, because it failed, one is queued. One that fails while this commits leaves the row as it is here:
       undone, so that asking again goes on.

    Raises:
        NotFound: there is no such cluster, or it is not being rotated.
        Conflict: several have the name, or the last phase has begun, or the previous authority ends too soon.
        Forbidden: the policy says no.
        InvalidInput: the cluster's state does not take it.
    """
    async with context.engine.begin() as conn:
        bay = await _rotatable(context, facts, conn, ident)
        operations.check_state(bay, Door.ROTATE_CA, "queue", face_of(facts).one)
        rotation = await rotations.of(conn, bay.id)
        if rotation is None:
            raise NotFound(NOT_BEGUN)
        if await _only_forward(conn, bay, rotation):
            raise Conflict(ENDS)
        if not await rotations.undo(conn, bay.id):  # 1
            raise Conflict(LAST_PHASE)
        await rotations.restart_clock(conn, bay.id, _time(bay))  # 2
        if await _asked(conn, bay.id) is None:
            await _queue(context, facts, conn, bay)
    context.committed()
    return bay.id


def minutes(masters: int, workers: int) -> int:
    """How long a rotation may take, in minutes: an hour, and three for each turn in each of the three phases.

    The hour is for nodes that look for the first time, after 7 minutes at most, for services that are slow to start
    and for a machine or two that are away for a while. A turn is one master or a tenth of the workers; whose turn it is
    looks every 15 s.
    """
    turns = masters + -(-workers // max(1, workers // 10))
    return 60 + 3 * 3 * turns


def face_of(facts: Facts) -> Face:
    """What the cluster is called: old clients say bay, and send no microversion."""
    return BAY if facts.version <= BAY.sync_until else CLUSTER


async def _rotatable(context: Context, facts: Facts, conn: AsyncConnection, ident: str) -> Bay:
    """The cluster, locked, if its authority can be rotated at all."""
    bay = await lookup.hold(context, conn, face_of(facts), facts.caller, ident)
    context.policy.enforce(facts.caller, _RULE, project_id=bay.project_id, user_id=bay.user_id)
    if bay.spec.get("tls_disabled"):
        raise InvalidInput(NO_TLS)
    kind = OperationKind.ROTATE_CA
    if kind not in FLOWS or kind.value not in registry.by_name(bay.driver).kinds:
        raise InvalidInput(NO_FLOW)
    return bay


async def _resume(conn: AsyncConnection, bay: Bay, rotation: Rotation) -> None:
    """Turn an undone rotation forward. Raises Conflict where there is a way back."""
    if not await _only_forward(conn, bay, rotation):
        raise Conflict(UNDONE)
    await rotations.resume(conn, bay.id)
    await rotations.restart_clock(conn, bay.id, _time(bay))


async def _only_forward(conn: AsyncConnection, bay: Bay, rotation: Rotation) -> bool:
    """Whether the previous authority ends before the nodes could be back, and they are not on their last way there."""
    return await rotations.resumable(conn, bay.id) and await rotations.previous_ends(conn, rotation, _time(bay))


def _time(bay: Bay) -> timedelta:
    return timedelta(minutes=minutes(bay.master_count, bay.node_count))


async def _asked(conn: AsyncConnection, bay_id: UUID) -> Live | None:
    """The rotation under way, or the one that waits."""
    live = await operations.live(conn, bay_id)
    return next((one for one in live if one.kind is OperationKind.ROTATE_CA), None)


async def _queue(context: Context, facts: Facts, conn: AsyncConnection, bay: Bay) -> None:
    await operations.ask(
        conn,
        bay,
        kind=OperationKind.ROTATE_CA,
        request={},
        requested_by=facts.caller.user_id,
        timeout_minutes=minutes(bay.master_count, bay.node_count),
        busy=context.settings.busy,
        door=Door.ROTATE_CA,
        word=face_of(facts).one,
    )
