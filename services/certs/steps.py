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

from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.authority import make_authority
from services.certs.factory import Deps
from shared.db.repositories import authorities
from shared.db.repositories.authorities import FIRST_GENERATION, KINDS, Authority, SealedKey
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.pki_client import KeyKind
from shared.worker.outcome import Broke, Done, Outcome, StepContext, StepFunction

_NAME_BYTES: Final = 64  # X.520's bound of a common name


async def create_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the authorities that the bay does not have yet; keys are encrypted before they leave this function."""
    try:
        key_kind = KeyKind(registry.by_name(ctx.bay.driver).ca_key)
    except InvalidInput as error:
        return Broke(error.message)
    async with ctx.deps.engine.connect() as conn:
        present = await authorities.current_all(conn, ctx.bay.id)
    missing = [kind for kind in KINDS if kind not in present]
    made = await asyncio.gather(*(_make(ctx.deps, ctx.bay, kind, key_kind) for kind in missing))

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


def _common_name(bay: Bay) -> str:
    """The bay's name as in Magnum, or its id where the name does not fit into a common name."""
    return bay.name if 0 < len(bay.name.encode()) <= _NAME_BYTES else str(bay.id)
