"""The steps of bay operations that are ours: a bay's authorities are made first and destroyed late.

Both write in `apply` only, so a result that comes too late is dropped whole; both may be repeated.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs import rotation
from services.certs.authority import make_authority, new_authority_key
from services.certs.factory import Deps
from services.certs.key_store import KeyOwner
from shared.db.repositories import authorities
from shared.db.repositories.authorities import FIRST_GENERATION, KINDS, SERVICE_ACCOUNT, Authority, StoredKey
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.pki_client import KeyKind
from shared.worker.outcome import Broke, Done, Outcome, StepContext, StepFunction

_NAME_BYTES: Final = 64  # X.520's bound of a common name


async def create_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the authorities that the bay does not have yet, and the service-account key where its masters share one.

    Keys are where they stay before this returns, one after the other: what one try left is found by the next.
    """
    try:
        driver = ctx.deps.signer.drivers(ctx.bay.driver)
    except InvalidInput as error:
        return Broke(error.message)
    async with ctx.deps.engine.connect() as conn:
        present = await authorities.current_all(conn, ctx.bay.id)
        has_shared = await authorities.current(conn, ctx.bay.id, SERVICE_ACCOUNT) is not None
    made = [await _make(ctx, kind, KeyKind(driver.ca_key)) for kind in KINDS if kind not in present]
    if driver.shares_service_account and not has_shared:
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
    await ctx.deps.keys.destroy(ctx.bay.id, stored, ctx.guard)

    async def write(conn: AsyncConnection) -> None:
        for authority_id in await authorities.destroy_keys(conn, ctx.bay.id):
            ctx.deps.cache.forget(authority_id)

    return Done(write)


STEPS: Final[Mapping[str, StepFunction[Deps]]] = {
    "create.authorities": create_authorities,
    "delete.authorities": destroy_authorities,
    "rotate_ca.make": rotation.make_authorities,
    "rotate_ca.trust": rotation.await_trust,
    "rotate_ca.reissue": rotation.await_certificates,
    "rotate_ca.drop": rotation.await_drop,
}


async def _make(ctx: StepContext[Deps], kind: str, key_kind: KeyKind) -> tuple[Authority, StoredKey]:
    owner, deps = KeyOwner(uuid4(), ctx.bay.id, kind, FIRST_GENERATION), ctx.deps
    compute = partial(asyncio.get_running_loop().run_in_executor, deps.cpu)
    kept = await deps.keys.keep(owner, lambda: compute(new_authority_key, key_kind), ctx.guard)
    serial, now = secrets.randbits(128), datetime.now(UTC)
    made = await compute(make_authority, _common_name(ctx.bay), kept.key, serial, now, deps.validity)
    public = Authority(owner.authority_id, ctx.bay.id, kind, owner.generation, made.certificate, made.not_after)
    return public, kept.stored


async def _service_account(ctx: StepContext[Deps]) -> tuple[Authority, StoredKey]:
    """A key pair, no authority: it stands among them to be kept and destroyed as they are."""
    owner, deps = KeyOwner(uuid4(), ctx.bay.id, SERVICE_ACCOUNT, FIRST_GENERATION), ctx.deps
    kept = await deps.keys.keep(owner, deps.rsa_keys.take, ctx.guard)
    public = load_der_private_key(kept.key, password=None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ends = datetime.now(UTC).replace(microsecond=0) + deps.validity
    return Authority(owner.authority_id, ctx.bay.id, SERVICE_ACCOUNT, owner.generation, pem, ends), kept.stored


def _common_name(bay: Bay) -> str:
    """The bay's name as in Magnum, or its id where the name does not fit into a common name."""
    return bay.name if 0 < len(bay.name.encode()) <= _NAME_BYTES else str(bay.id)
