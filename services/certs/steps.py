"""The steps of bay operations that are ours: a bay's authorities are made first, rotated, and destroyed late.

All write in `apply` only, so a result that comes too late is dropped whole; all may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.factory import Deps
from services.certs.key_store import KeyOwner, all_names
from services.certs.new_authorities import Made, make_all
from services.certs.rotation import make, phases
from shared.db.repositories import authorities
from shared.db.repositories.authorities import FIRST_GENERATION, SERVICE_ACCOUNT, Authority
from shared.domain.errors import InvalidInput
from shared.worker.outcome import Broke, Done, Outcome, StepContext, StepFunction


async def create_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the authorities that the bay does not have yet, and the service-account key where its masters share one.

    Keys are where they stay before this returns, one after the other: what one try left is found by the next.
    """
    async with ctx.deps.engine.connect() as conn:
        present = await authorities.current_all(conn, ctx.bay.id)
        has_shared = await authorities.current(conn, ctx.bay.id, SERVICE_ACCOUNT) is not None
    try:
        shares = ctx.deps.signer.drivers(ctx.bay.driver).shares_service_account
        made = await make_all(ctx, FIRST_GENERATION, without=frozenset(present))
    except InvalidInput as error:
        return Broke(error.message)
    if shares and not has_shared:
        made.append(await _service_account(ctx))

    async def write(conn: AsyncConnection) -> None:
        for authority, key in made:
            await authorities.add(conn, authority, key)

    return Done(write)


async def destroy_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Remove the bay's keys for good; its certificates stay readable until the bay's row goes.

    What is outside of the database goes first: a step that dies before its rows are gone finds them again.
    """
    async with ctx.deps.engine.connect() as conn:
        stored = await authorities.stored_keys(conn, ctx.bay.id)
        generations = await authorities.generations(conn, ctx.bay.id)
    await ctx.deps.keys.destroy(stored, all_names(ctx.bay.id, generations), ctx.guard)

    async def write(conn: AsyncConnection) -> None:
        for authority_id in await authorities.destroy_keys(conn, ctx.bay.id):
            ctx.deps.cache.forget(authority_id)

    return Done(write)


STEPS: Final[Mapping[str, StepFunction[Deps]]] = {
    "create.authorities": create_authorities,
    "delete.authorities": destroy_authorities,
    "rotate_ca.make": make.make_authorities,
    "rotate_ca.trust": phases.await_trust,
    "rotate_ca.reissue": phases.await_certificates,
    "rotate_ca.drop": phases.await_drop,
}


async def _service_account(ctx: StepContext[Deps]) -> Made:
    """A key pair, no authority: it stands among them to be kept and destroyed as they are."""
    owner, deps = KeyOwner(uuid4(), ctx.bay.id, SERVICE_ACCOUNT, FIRST_GENERATION), ctx.deps
    kept = await deps.keys.keep(owner, deps.rsa_keys.take, ctx.guard)
    public = load_der_private_key(kept.key, password=None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ends = datetime.now(UTC).replace(microsecond=0) + deps.validity
    return Authority(owner.authority_id, ctx.bay.id, SERVICE_ACCOUNT, owner.generation, pem, ends), kept.stored
