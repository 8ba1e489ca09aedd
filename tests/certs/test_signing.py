"""The sign path on a real database: one certificate for one wish, whatever happens in between."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import timedelta

import pytest
from cryptography import x509

from services.certs.envelope import EnvelopeError
from shared.db.repositories import authorities
from shared.pki_client import verify_chain
from tests.certs.requests import csr
from tests.certs.world import World


@pytest.fixture
async def bay(world: World) -> World:
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    return world


async def ca_of(world: World, kind: str) -> str:
    async with world.engine.connect() as conn:
        authority = await authorities.current(conn, world.bay_id, kind)
    assert authority is not None
    return authority.certificate


async def trail(world: World) -> list[object]:
    return await world.column("SELECT action FROM certificate_audit ORDER BY seq")


@pytest.mark.parametrize("kind", ["kubernetes", "etcd", "front_proxy"])
async def test_a_request_is_signed_by_the_authority_of_its_row(bay: World, kind: str) -> None:
    request = await bay.ask(csr(), kind=kind)
    await bay.signer().decide(request)

    pem = await bay.signed(request)
    verify_chain(pem, await ca_of(bay, kind))
    leaf = x509.load_pem_x509_certificate(pem.encode())
    rows = await bay.rows("SELECT serial, subject, state, not_before, not_after, created_at FROM certificates")
    assert len(rows) == 1
    serial, subject, state, not_before, not_after, created_at = rows[0]
    assert (serial, subject, state) == (f"{leaf.serial_number:032x}", "O=system:masters,CN=admin", "issued")
    assert (not_before, not_after) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    assert created_at.replace(microsecond=0) - not_before == timedelta(days=1)  # type: ignore[attr-defined]
    assert await trail(bay) == ["signing", "issued"]


async def test_a_leaf_never_outlives_its_authority(bay: World) -> None:
    request = await bay.ask(csr())
    await bay.signer().decide(request)

    leaf = x509.load_pem_x509_certificate((await bay.signed(request)).encode())
    authority = x509.load_pem_x509_certificate((await ca_of(bay, "kubernetes")).encode())
    assert leaf.not_valid_after_utc <= authority.not_valid_after_utc
    assert leaf.not_valid_before_utc >= authority.not_valid_before_utc


async def test_the_same_csr_of_the_same_requester_gets_the_same_certificate(bay: World) -> None:
    wish = csr()
    first, second = await bay.ask(wish), await bay.ask(wish)
    await bay.signer().decide(first)
    await bay.signer().decide(second)

    assert await bay.signed(first) == await bay.signed(second)
    assert await trail(bay) == ["signing", "issued"]


async def test_deciding_twice_changes_nothing(bay: World) -> None:
    request = await bay.ask(csr())
    await bay.signer().decide(request)
    pem = await bay.signed(request)
    await bay.signer().decide(request)

    assert await bay.signed(request) == pem
    assert await trail(bay) == ["signing", "issued"]


async def test_another_requester_authority_or_time_gets_another_certificate(bay: World) -> None:
    wish = csr()
    first, other, etcd = await bay.ask(wish), await bay.ask(wish, requester="user-2"), await bay.ask(wish, kind="etcd")
    for request in (first, other, etcd):
        await bay.signer().decide(request)
    await bay.rows("UPDATE certificates SET created_at = created_at - interval '10 minutes'")
    late = await bay.ask(wish)
    await bay.signer().decide(late)

    assert len({await bay.signed(request) for request in (first, other, etcd, late)}) == 4


async def test_many_at_once_for_one_csr_make_one_certificate(bay: World) -> None:
    wish = csr()
    requests = [await bay.ask(wish) for _ in range(4)]
    await asyncio.gather(*(bay.signer().decide(request) for request in requests for _ in range(2)))

    assert len({await bay.signed(request) for request in requests}) == 1
    assert await bay.column("SELECT count(*) FROM certificates") == [1]
    assert await trail(bay) == ["signing", "issued"]


async def test_a_refused_csr_says_why_and_leaves_no_certificate(bay: World) -> None:
    request = await bay.ask(csr((x509.BasicConstraints(ca=True, path_length=None), True)))
    await bay.signer().decide(request)

    outcome = await bay.outcome(request)
    assert (outcome.state, outcome.reason, outcome.pem) == ("refused", "Extension 'basicConstraints' not allowed", None)
    assert await bay.column("SELECT count(*) FROM certificates") == [0]


async def test_an_unknown_authority_or_profile_is_refused(bay: World) -> None:
    for request, reason in (
        (await bay.ask(csr(), kind="nonsense"), "no nonsense certificate authority"),
        (await bay.ask(csr(), profile="root"), "profile 'root' is not supported"),
    ):
        await bay.signer().decide(request)
        outcome = await bay.outcome(request)
        assert outcome.state == "refused"
        assert reason in (outcome.reason or "")


async def test_what_nobody_waits_for_expires(bay: World) -> None:
    late = await bay.ask(csr(), patience=timedelta(0))
    swept = await bay.ask(csr(), patience=timedelta(0))
    await bay.signer().decide(late)
    await bay.signer().sweep()

    assert (await bay.outcome(late)).state == "expired"
    assert (await bay.outcome(swept)).state == "expired"
    assert await trail(bay) == []


async def test_the_sweep_takes_up_a_request_whose_message_was_lost(bay: World) -> None:
    request = await bay.ask(csr())

    assert await bay.signer().sweep(timedelta(minutes=1)) == 0  # its message may still come
    assert await bay.signer().sweep() == 1
    assert await bay.signed(request)
    assert await bay.signer().sweep() == 0


async def test_a_wrong_master_key_signs_nothing_and_the_right_one_finishes(bay: World) -> None:
    request = await bay.ask(csr())
    wrong = bay.signer(base64.b64encode(os.urandom(32)).decode())

    with pytest.raises(EnvelopeError, match="this process holds"):
        await wrong.decide(request)
    assert await wrong.sweep() == 1  # logged, the sweep lives
    (serial,) = await bay.column("SELECT serial FROM certificates WHERE state = 'intended'")
    await bay.rows("UPDATE sign_requests SET expires_at = now()")
    await bay.signer().sweep()
    assert x509.load_pem_x509_certificate((await bay.signed(request)).encode()).serial_number == int(str(serial), 16)
    assert await trail(bay) == ["signing", "issued"]


async def test_an_intent_whose_key_was_destroyed_is_abandoned(bay: World) -> None:
    request = await bay.ask(csr())
    with pytest.raises(EnvelopeError):
        await bay.signer(base64.b64encode(os.urandom(32)).decode()).decide(request)
    await bay.rows("DELETE FROM authority_keys")
    await bay.signer().sweep()

    assert (await bay.outcome(request)).state == "refused"
    assert await bay.column("SELECT state FROM certificates") == ["abandoned"]
    assert await trail(bay) == ["signing", "abandoned"]
    assert await bay.signer().sweep() == 0


async def test_a_request_of_a_bay_that_is_gone_is_nothing(bay: World) -> None:
    request = await bay.ask(csr())
    await bay.rows("DELETE FROM bays")

    assert await bay.signer().decide(request) is None
