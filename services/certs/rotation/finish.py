"""The end of a rotation: the generation that leaves loses its keys and is retired."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.factory import Deps
from services.certs.key_store import secret_name
from services.certs.rotation.words import STAYS
from shared.db.repositories import authorities, rotations
from shared.db.repositories.authorities import KINDS
from shared.domain.rotation import Rotation
from shared.runtime import failpoint
from shared.worker.outcome import Done, Outcome, StepContext


async def end(ctx: StepContext[Deps], rotation: Rotation) -> Outcome:
    """Destroy the keys of the generation that no node trusts any more, then write that it is over.

    Keys outside of the database go first: a step that dies in between finds the rotation, and does it again.
    Raises CloudError.
    """
    (leaves,) = rotation.both - {rotation.target}
    async with ctx.deps.engine.connect() as conn:
        stored = await authorities.stored_keys(conn, ctx.bay.id, generation=leaves)
    names = [secret_name(ctx.bay.id, kind, leaves) for kind in KINDS]
    await ctx.deps.keys.destroy(stored, names, ctx.guard)
    failpoint.hit("certs:rotation_destroyed")

    async def write(conn: AsyncConnection) -> None:
        retired = await authorities.retire(conn, ctx.bay.id, leaves)
        await rotations.end(conn, ctx.bay.id)
        for authority_id in retired:
            ctx.deps.cache.forget(authority_id)

    return Done(write, note=STAYS if rotation.undone else None)
