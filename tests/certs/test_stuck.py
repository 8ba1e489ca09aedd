"""What hangs elsewhere, a lock or a Barbican, costs nobody else a signature, and is taken up when it is over."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from typing_extensions import override

from services.certs.key_store import Keys
from services.certs.signer import Signer
from shared.db.engine import make_engine
from shared.db.repositories.authorities import Authority, StoredKey
from shared.domain.errors import CloudError, Unavailable
from tests.certs.requests import csr
from tests.certs.world import World, database_keys, new_bay


@pytest.fixture
async def bay(world: World) -> World:
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    return world


@dataclass(frozen=True)
class Slow(Keys):
    """Keys of one kind lie in a place that does not answer before it is told to."""

    kind: str = "etcd"
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    times: list[UUID] = field(default_factory=list)

    @classmethod
    def of(cls, keys: Keys, kind: str) -> Slow:
        return cls(keys.chosen, keys.database, keys.barbican, kind)

    @override
    async def open(self, stored: StoredKey, authority: Authority) -> bytes:
        if authority.kind == self.kind:
            self.times.append(authority.id)
            self.asked.set()
            await self.answers.wait()
        return await super().open(stored, authority)


@asynccontextmanager
async def holding(bay: World, statement: str, **values: object) -> AsyncIterator[None]:
    """Another replica, whose host has lost its power just now: its transaction stays."""
    other = make_engine(bay.dsn, pool_size=1)
    try:
        async with other.connect() as conn:
            await conn.execute(text(statement), values)
            yield
    finally:
        await other.dispose()


async def wish_of(bay: World, request: UUID) -> str:
    parts = "bay_id, authority_kind, requester, profile, 'None', csr_digest"
    (wish,) = await bay.column(f"SELECT concat_ws(':', {parts}) FROM sign_requests WHERE id = '{request}'")
    return str(wish)


async def decide(signer: Signer, *requests: UUID) -> list[object]:
    async with asyncio.timeout(15):
        return await asyncio.gather(*(signer.decide(one) for one in requests), return_exceptions=True)


@pytest.mark.parametrize("held", ["row", "wish", "bay"])
async def test_what_another_replica_holds_keeps_no_other_request_waiting(bay: World, held: str) -> None:
    elsewhere = replace(bay, bay_id=await new_bay(bay.dsn, "other"))
    await elsewhere.make_authorities()
    signer, stuck = bay.signer(), await bay.ask(csr())
    statement, values = {
        "row": (f"SELECT FROM sign_requests WHERE id = '{stuck}' FOR UPDATE", {}),
        "wish": (
            "SELECT pg_advisory_xact_lock(hashtextextended(:wish, 0))",
            {"wish": await wish_of(bay, stuck)},
        ),
        "bay": (f"SELECT FROM bays WHERE id = '{bay.bay_id}' FOR UPDATE", {}),
    }[held]
    async with holding(bay, statement, **values):
        others = [await elsewhere.ask(csr()) for _ in range(3)]
        results = await decide(signer, stuck, *others)
        later = await elsewhere.ask(csr())
        await decide(signer, later)
        async with asyncio.timeout(15):
            await signer.sweep()

        assert isinstance(results[0], Unavailable)
        assert (await bay.outcome(stuck)).state == "pending"
        for one in (*others, later):
            assert await bay.signed(one)
    assert await signer.sweep() == 1
    assert await bay.signed(stuck)


async def test_a_row_that_is_held_between_intent_and_certificate_delays_no_other(bay: World) -> None:
    keys = Slow.of(database_keys(), "etcd")
    bay.keys = keys
    signer, stuck = bay.signer(), await bay.ask(csr(), kind="etcd")
    deciding = asyncio.create_task(decide(signer, stuck))
    await asyncio.wait_for(keys.asked.wait(), 15)
    async with holding(bay, f"SELECT FROM sign_requests WHERE id = '{stuck}' FOR UPDATE"):
        keys.answers.set()
        other = await bay.ask(csr())
        await decide(signer, other)
        assert await bay.signed(other)
        assert isinstance((await deciding)[0], Unavailable)
        assert await bay.column("SELECT state FROM certificates ORDER BY state") == ["intended", "issued"]
    await decide(signer, stuck)

    assert await bay.signed(stuck)
    assert await bay.column("SELECT action FROM certificate_audit ORDER BY action") == ["issued"] * 2 + ["signing"] * 2


async def test_a_place_for_keys_that_hangs_gives_its_message_back_and_is_asked_once(bay: World) -> None:
    keys = Slow.of(database_keys(), "etcd")
    bay.keys = keys
    signer = replace(bay.signer(), patience=1.0)
    stuck, other = [await bay.ask(csr(), kind="etcd") for _ in range(3)], await bay.ask(csr())
    results = await decide(signer, *stuck, other)

    assert all(isinstance(one, CloudError) and one.retryable for one in results[:3])
    assert await bay.signed(other)
    await signer.sweep()
    keys.answers.set()
    await signer.sweep()
    assert [(await bay.outcome(one)).state for one in stuck] == ["signed"] * 3
    assert len(keys.times) == 1


async def test_a_key_that_cannot_be_opened_is_told_once_and_in_time_tried_once_an_hour(
    bay: World, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = bay.signer(base64.b64encode(os.urandom(32)).decode())
    requests = [await bay.ask(csr(), kind=kind) for kind in ("etcd", "etcd", "etcd")]
    with caplog.at_level(logging.WARNING):
        assert await wrong.sweep() == 3

    (told,) = caplog.records
    assert told.exc_info is None
    assert "3 sign requests" in told.getMessage()
    assert "this process holds" in told.getMessage()
    await bay.rows("UPDATE sign_requests SET created_at = now() - interval '61 minutes', expires_at = now()")
    assert await wrong.sweep() == 0
    assert await wrong.sweep(thorough=True) == 3
    assert await bay.signer().sweep(thorough=True) == 3
    assert [(await bay.outcome(one)).state for one in requests] == ["signed"] * 3


async def test_the_sweep_of_old_ones_spares_the_young(bay: World) -> None:
    await bay.ask(csr())

    assert await bay.signer().sweep(timedelta(minutes=1), thorough=True) == 0
