"""The first step: the next generation of a bay's authorities, and the beginning of the rotation to it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.factory import Deps
from services.certs.new_authorities import make_all
from services.certs.rotation.words import ENDED, NO_NODES
from shared.db.repositories import authorities, rotations
from shared.db.repositories.authorities import KINDS
from shared.domain.errors import InvalidInput
from shared.worker.outcome import Broke, Done, Outcome, StepContext


async def make_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the next generation, unless a rotation that is not over waits to be gone on with.

    Keys are kept before the rows are written: a try that dies in between is found again by the names of its keys,
    because the generation's number follows from the rows alone.
    """
    async with ctx.deps.engine.connect() as conn:
        if await rotations.of(conn, ctx.bay.id) is not None:
            return Done()
        present = await authorities.current_all(conn, ctx.bay.id)
        valid = await authorities.trusted(conn, ctx.bay.id, *KINDS)
        known = await authorities.generations(conn, ctx.bay.id)
        nodes = await rotations.progress(conn, ctx.bay.id)
    if set(present) != set(KINDS):
        return Broke("The cluster has no certificate authorities that could be rotated.")
    if {one.id for one in present.values()} - {one.id for one in valid}:
        return Broke(ENDED)
    if not nodes:
        return Broke(NO_NODES)
    previous, generation = max(one.generation for one in present.values()), max(known) + 1
    try:
        made = await make_all(ctx, generation)
    except InvalidInput as error:
        return Broke(error.message)

    async def write(conn: AsyncConnection) -> None:
        for authority, key in made:
            await authorities.add(conn, authority, key)
        await rotations.begin(conn, ctx.bay.id, generation=generation, previous=previous)

    return Done(write)
