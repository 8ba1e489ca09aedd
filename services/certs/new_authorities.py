"""Making an authority of a bay: its key is kept first, then its certificate is made from that key."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

from services.certs.authority import make_authority, new_authority_key
from services.certs.factory import Deps
from services.certs.key_store import KeyOwner
from shared.db.repositories.authorities import KINDS, Authority, StoredKey
from shared.domain.bay import Bay
from shared.pki_client import KeyKind
from shared.worker.outcome import StepContext

Made = tuple[Authority, StoredKey]
"""An authority that is not written yet, and where its key is."""

_NAME_BYTES: Final = 64  # X.520's bound of a common name


async def make_all(ctx: StepContext[Deps], generation: int, *, without: frozenset[str] = frozenset()) -> list[Made]:
    """The bay's authorities of that generation, but for the kinds that it has. May be repeated: keys that an earlier
    try kept are found again.

    Raises:
        InvalidInput: the bay's driver is not here any more.
        CloudError, EnvelopeError: see `KeyStore.keep`.
    """
    kind_of_key = KeyKind(ctx.deps.signer.drivers(ctx.bay.driver).ca_key)
    return [await _make(ctx, kind, kind_of_key, generation) for kind in KINDS if kind not in without]


async def _make(ctx: StepContext[Deps], kind: str, key_kind: KeyKind, generation: int) -> Made:
    owner, deps = KeyOwner(uuid4(), ctx.bay.id, kind, generation), ctx.deps
    compute = partial(asyncio.get_running_loop().run_in_executor, deps.cpu)
    # RSA keys take long, so they are made before anybody asks.
    new_key = deps.rsa_keys.take if key_kind is KeyKind.RSA_2048 else partial(compute, new_authority_key, key_kind)
    kept = await deps.keys.keep(owner, new_key, ctx.guard)
    serial, now = secrets.randbits(128), datetime.now(UTC)
    made = await compute(make_authority, _common_name(ctx.bay), kept.key, serial, now, deps.validity)
    return Authority(owner.authority_id, ctx.bay.id, kind, generation, made.certificate, made.not_after), kept.stored


def _common_name(bay: Bay) -> str:
    """The bay's name as in Magnum, or its id where the name does not fit into a common name."""
    return bay.name if 0 < len(bay.name.encode()) <= _NAME_BYTES else str(bay.id)
