"""Requests that wait together: each gets what it would get alone, in one transaction, on one trail."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from sqlalchemy.exc import DBAPIError

from services.certs.envelope import EnvelopeError
from services.certs.signer import Signer
from shared.runtime.telemetry import REGISTRY
from tests.certs.requests import csr
from tests.certs.world import World

AUTHORITY = (x509.BasicConstraints(ca=True, path_length=None), True)


@pytest.fixture
async def bay(world: World) -> World:
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    return world


async def together(signer: Signer, *requests: UUID) -> list[object]:
    return await asyncio.gather(*(signer.decide(one) for one in requests), return_exceptions=True)


async def states(bay: World, *requests: UUID) -> list[str]:
    return [(await bay.outcome(one)).state for one in requests]


async def poison(bay: World, state: str) -> None:
    """The database cannot write the certificates of a certain subject in that state."""
    await bay.rows("""
        CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'poisoned'; END $$
    """)
    await bay.rows(f"""
        CREATE TRIGGER poisoned BEFORE INSERT OR UPDATE ON certificates FOR EACH ROW
        WHEN (new.subject = 'CN=poison' AND new.state = '{state}') EXECUTE FUNCTION poisoned()
    """)


def named(name: str) -> str:
    return csr(names=[(x509.NameOID.COMMON_NAME, name)])


async def test_a_batch_of_all_kinds(bay: World) -> None:
    wish, known_wish = csr(), csr()
    known = await bay.ask(known_wish)
    await bay.signer().decide(known)
    late_but_known = await bay.ask(known_wish, patience=timedelta(0))
    good = [await bay.ask(csr(), kind=kind) for kind in ("kubernetes", "etcd")]
    late_first = await bay.ask(wish, patience=timedelta(0))
    twice = [await bay.ask(wish), await bay.ask(wish)]
    short = await bay.ask(wish, validity_seconds=3600)
    refused = await bay.ask(csr(AUTHORITY))
    nowhere = await bay.ask(csr(), kind="nonsense")
    unknown = uuid4()

    requests = (late_but_known, known, *good, late_first, *twice, short, refused, nowhere, unknown)
    before = ended("signed"), ended("refused"), ended("expired")
    results = await together(bay.signer(), *requests)

    assert results[-1] is None
    assert not [one for one in results if isinstance(one, BaseException)]
    assert await bay.signed(late_but_known) == await bay.signed(known)
    assert await states(bay, *good, late_first, *twice, short) == ["signed"] * 2 + ["expired"] + ["signed"] * 3
    assert await bay.signed(twice[0]) == await bay.signed(twice[1]) != await bay.signed(short)
    assert await states(bay, refused, nowhere) == ["refused", "refused"]
    assert await bay.column("SELECT count(DISTINCT created_at) FROM certificates") == [2]  # the known one's, and ours
    trail = "SELECT action, count(*), count(DISTINCT serial) FROM certificate_audit GROUP BY action ORDER BY action"
    assert await bay.rows(trail) == [("issued", 5, 5), ("signing", 5, 5)]
    assert (ended("signed"), ended("refused"), ended("expired")) == (before[0] + 6, before[1] + 2, before[2] + 1)


def ended(outcome: str) -> float:
    labels = {"profile": "owner", "outcome": outcome}
    return REGISTRY.get_sample_value("jeroboam_sign_requests_total", labels) or 0.0


async def test_two_replicas_that_take_the_same_requests_in_another_order_neither_block_nor_double(
    bay: World, caplog: pytest.LogCaptureFixture
) -> None:
    wishes = [csr() for _ in range(8)]
    requests = [await bay.ask(wishes[number % 8]) for number in range(24)]
    orders = [random.sample(requests, len(requests)) for _ in range(6)]
    with caplog.at_level(logging.WARNING):
        results = await asyncio.gather(*(together(bay.signer(), *order) for order in orders))

    assert not [one for order in results for one in order if isinstance(one, BaseException)]
    assert "one by one" not in caplog.text
    assert set(await states(bay, *requests)) == {"signed"}
    assert len({await bay.signed(one) for one in requests}) == 8
    trail = "SELECT action, count(*), count(DISTINCT serial) FROM certificate_audit GROUP BY action ORDER BY action"
    assert await bay.rows(trail) == [("issued", 8, 8), ("signing", 8, 8)]


@pytest.mark.parametrize("state", ["intended", "issued"])
async def test_what_the_database_refuses_of_one_does_not_hit_the_others(bay: World, state: str) -> None:
    await poison(bay, state)
    good, bad, other = await bay.ask(named("a")), await bay.ask(named("poison")), await bay.ask(named("b"))
    results = await together(bay.signer(), good, bad, other)

    assert [isinstance(one, DBAPIError) for one in results] == [False, True, False]
    assert await states(bay, good, bad, other) == ["signed", "pending", "signed"]
    await bay.rows("DROP TRIGGER poisoned ON certificates")
    assert await bay.signer().sweep() == 1
    assert await states(bay, bad) == ["signed"]
    assert await bay.rows("SELECT count(*), count(DISTINCT serial) FROM certificate_audit") == [(6, 3)]


async def test_a_key_that_cannot_be_opened_keeps_no_other_authority_from_signing(bay: World) -> None:
    await bay.rows(
        "UPDATE authority_keys SET sealed = 'x' FROM authorities WHERE authorities.id = authority_id AND kind = 'etcd'"
    )
    good, bad = await bay.ask(csr()), await bay.ask(csr(), kind="etcd")
    results = await together(bay.signer(), bad, good)

    assert isinstance(results[0], EnvelopeError)
    assert await states(bay, good, bad) == ["signed", "pending"]


async def test_what_was_decided_a_day_ago_goes_and_its_certificate_stays(bay: World) -> None:
    old, young = await bay.ask(csr()), await bay.ask(csr())
    waiting = await bay.ask(csr(), patience=timedelta(days=2))
    await together(bay.signer(), old, young)
    await bay.rows(f"UPDATE sign_requests SET created_at = now() - interval '25 hours' WHERE id != '{young}'")
    await bay.signer().sweep(timedelta(days=2))  # the one that waits is left to its message

    assert set(await bay.column("SELECT id FROM sign_requests")) == {young, waiting}
    assert await bay.column("SELECT count(*) FROM certificates") == [2]
    assert await bay.column("SELECT count(*) FROM certificate_audit") == [4]


async def test_no_table_is_read_whole_however_many_requests_there_were(bay: World) -> None:
    await bay.rows(
        "INSERT INTO sign_requests (id, bay_id, authority_kind, profile, requester, csr, csr_digest, state, "
        f"expires_at) SELECT gen_random_uuid(), '{bay.bay_id}', 'kubernetes', 'owner', 'user-1', '', n::text, "
        "'signed', now() FROM generate_series(1, 100000) AS n"
    )
    await bay.rows(
        "INSERT INTO certificates (id, bay_id, authority_id, sign_request_id, serial, subject, profile, requester, "
        "state, not_before, not_after) SELECT gen_random_uuid(), asked.bay_id, authorities.id, asked.id, "
        "asked.csr_digest, '', 'owner', 'user-1', 'issued', now(), now() FROM sign_requests AS asked "
        "JOIN authorities ON authorities.bay_id = asked.bay_id AND authorities.kind = asked.authority_kind"
    )
    await bay.rows("ANALYZE")
    scans = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('sign_requests', 'certificates')"
    request = await bay.ask(csr())
    await bay.engine.dispose()  # a backend tells its figures when it ends
    before = await bay.column(scans)
    signer = bay.signer()
    await signer.decide(request)
    await signer.sweep()
    await bay.engine.dispose()

    assert await states(bay, request) == ["signed"]
    assert await bay.column(scans) == before
