"""The steps of bay operations that are ours: a bay's authorities are made first and destroyed late.

Both write in `apply` only, so a result that comes too late is dropped whole; both may be repeated.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.authority import make_authority
from services.certs.factory import Deps
from shared.db.repositories import authorities
from shared.db.repositories.authorities import FIRST_GENERATION, KINDS, SERVICE_ACCOUNT, Authority, SealedKey
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.pki_client import KeyKind
from shared.worker.outcome import Broke, Done, Outcome, StepContext, StepFunction

_NAME_BYTES: Final = 64  # X.520's bound of a common name


async def create_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the authorities that the bay does not have yet, and the service-account key where its masters share one.

    Keys are encrypted before they leave this function.
    """
    try:
        driver = ctx.deps.signer.drivers(ctx.bay.driver)
    except InvalidInput as error:
        return Broke(error.message)
    async with ctx.deps.engine.connect() as conn:
        present = await authorities.current_all(conn, ctx.bay.id)
        has_shared = await authorities.current(conn, ctx.bay.id, SERVICE_ACCOUNT) is not None
    missing = [kind for kind in KINDS if kind not in present]
    key_kind = KeyKind(driver.ca_key)
    made = await asyncio.gather(*(_make(ctx.deps, ctx.bay, kind, key_kind) for kind in missing))
    if driver.shares_service_account and not has_shared:
        made.append(await _service_account(ctx.deps, ctx.bay))

    async def write(conn: AsyncConnection) -> None:
        for authority, key in made:
            await authorities.add(conn, authority, key)

    return Done(write)


async def destroy_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Remove the bay's keys for good; its certificates stay readable until the bay's row goes."""

    async def write(conn: AsyncConnection) -> None:
        for authority_id in await authorities.destroy_keys(conn, ctx.bay.id):
            ctx.deps.cache.forget(authority_id)

    return Done(write)


STEPS: Final[Mapping[str, StepFunction[Deps]]] = {
    "create.authorities": create_authorities,
    "delete.authorities": destroy_authorities,
}


async def _make(deps: Deps, bay: Bay, kind: str, key_kind: KeyKind) -> tuple[Authority, SealedKey]:
    made = await asyncio.get_running_loop().run_in_executor(
        deps.cpu,
        make_authority,
        _common_name(bay),
        key_kind,
        secrets.randbits(128),
        datetime.now(UTC),
        deps.validity,
    )
    public = Authority(uuid4(), bay.id, kind, FIRST_GENERATION, made.certificate, made.not_after)
    return public, deps.envelope.seal(made.key, bay_id=bay.id, authority_id=public.id)


async def _service_account(deps: Deps, bay: Bay) -> tuple[Authority, SealedKey]:
    """A key pair, no authority: it stands among them to be encrypted, kept and destroyed as they are."""
    key = await deps.rsa_keys.take()
    public = load_der_private_key(key, password=None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ends = datetime.now(UTC).replace(microsecond=0) + deps.validity
    record = Authority(uuid4(), bay.id, SERVICE_ACCOUNT, FIRST_GENERATION, pem, ends)
    return record, deps.envelope.seal(key, bay_id=bay.id, authority_id=record.id)


def _common_name(bay: Bay) -> str:
    """The bay's name as in Magnum, or its id where the name does not fit into a common name."""
    return bay.name if 0 < len(bay.name.encode()) <= _NAME_BYTES else str(bay.id)
