"""The scaler's way into bays: its certificate by the ordinary sign path, and when it has another one made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.coe.errors import NotLetIn
from shared.domain.errors import CloudError
from shared.domain.rotation import Phase
from tests.certs.process import running_certs
from tests.certs.rotation_bay import Bay as RotatedBay
from tests.scaler.gate import Gate, open_gate
from tests.support.servers import rabbitmq_or_skip


@pytest.fixture(params=["postgres", "rabbitmq"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Gate]:
    """On either bus."""
    async with open_gate(rabbitmq_or_skip("scaler") if request.param == "rabbitmq" else None) as found:
        yield found


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with open_gate(None) as found:
        yield found


async def test_a_bay_lets_the_scaler_in_with_one_certificate_for_many_calls(both: Gate) -> None:
    bay, kubernetes, _ = await both.api(await both.bay())
    async with both.certs(), both.access() as access:
        for _ in range(3):
            async with access.open(bay) as coe:
                assert [node.name for node in (await coe.look()).nodes] == ["w-0"]

    assert await both.asked() == [("scaler", "service:scaler", "signed")]
    (subject,) = await both.world.column("SELECT subject FROM certificates WHERE profile = 'scaler'")
    assert str(subject).split(",") == ["CN=jeroboam-scaler", "O=jeroboam:scaler"]
    (hours,) = await both.world.column(
        "SELECT extract(epoch FROM not_after - now()) / 3600 FROM certificates WHERE profile = 'scaler'"
    )
    assert 0.9 < float(str(hours)) <= 1
    assert kubernetes.requests


async def test_the_running_service_signs(gate: Gate, tmp_path: Path) -> None:
    bay, _, _ = await gate.api(await gate.bay())
    async with running_certs(gate.world, tmp_path):
        gate.prefix = "jeroboam"
        async with gate.access() as access, access.open(bay) as coe:
            assert (await coe.health())["api"] == "ok"


async def test_without_the_authority_the_wait_has_an_end_and_the_next_try_succeeds(both: Gate) -> None:
    bay, _, _ = await both.api(await both.bay())
    async with both.access(seconds=0.5) as hurried:
        with pytest.raises(CloudError, match="Is the service certs running") as caught:
            async with hurried.open(bay):
                pass
    assert (caught.value.service, caught.value.retryable) == ("certs", True)

    async with both.certs(), both.access() as access, access.open(bay) as coe:
        assert (await coe.health())["api"] == "ok"


async def test_a_message_that_is_lost_costs_time_but_no_certificate(gate: Gate) -> None:
    bay, _, _ = await gate.api(await gate.bay())
    signer = gate.world.signer()

    async def sweep() -> None:
        while not await signer.sweep():
            await asyncio.sleep(0.05)

    async with gate.access() as access, asyncio.TaskGroup() as group:  # nobody consumes messages
        group.create_task(sweep())
        async with access.open(bay) as coe:
            assert (await coe.health())["api"] == "ok"


async def test_a_bay_without_authorities_is_tried_again_later(gate: Gate) -> None:
    bay = await gate.bay()
    await gate.world.rows("UPDATE authorities SET retired_at = now()")
    async with gate.access() as access:
        with pytest.raises(CloudError, match="no certificate authority yet") as caught:
            async with access.open(bay):
                pass
    assert (caught.value.service, caught.value.retryable) == ("certs", True)


async def test_a_rotation_brings_new_certificates_and_no_moment_without(gate: Gate) -> None:
    bay, _, endpoint = await gate.api(await gate.bay())
    rotated = await RotatedBay.of(gate.world, 1, 0)
    issued: list[int] = []

    async def let_in() -> None:
        async with access.open(bay) as coe:
            assert (await coe.health())["api"] == "ok"
        issued.append(len(await gate.asked()))

    async with gate.certs(), gate.access() as access:
        await let_in()
        operation = await rotated.start()
        for phase in (Phase.TRUST, Phase.REISSUE, Phase.DROP):
            await rotated.until(operation, phase)
            endpoint.identity = await gate.identity(bay, dropped=phase is Phase.DROP)
            await let_in()
            await let_in()
        await rotated.poll()
        await rotated.finish(operation)
        endpoint.identity = await gate.identity(bay)
        await let_in()
    await rotated.gateway.dispose()

    assert issued == sorted(issued)
    assert len(set(issued)) >= 4  # before, while the old one signs, while the new one does, and after


async def test_who_is_not_let_in_comes_with_a_new_certificate_next_time(gate: Gate) -> None:
    bay, kubernetes, _ = await gate.api(await gate.bay())
    async with gate.certs(), gate.access(not_again=0) as access:
        kubernetes.misbehave("status", status=401, message="Unauthorized", count=1)
        with pytest.raises(NotLetIn):
            async with access.open(bay) as coe:
                await coe.look()
        for _ in range(2):
            async with access.open(bay) as coe:
                await coe.look()

    assert len(await gate.asked()) == 2


async def test_an_api_that_lets_nobody_in_does_not_keep_the_authority_busy(gate: Gate) -> None:
    bay, kubernetes, _ = await gate.api(await gate.bay())
    kubernetes.misbehave("status", status=401, message="Unauthorized")
    async with gate.certs(), gate.access() as access:
        for _ in range(5):
            with pytest.raises(NotLetIn):
                async with access.open(bay) as coe:
                    await coe.look()

    assert len(await gate.asked()) == 1


async def test_certificates_are_kept_for_the_bays_asked_of_last(gate: Gate) -> None:
    bays = [(await gate.api(await gate.bay(name)))[0] for name in ("one", "two", "three")]
    async with gate.certs(), gate.access(kept=2) as access:
        for at in (0, 1, 0, 2, 0, 1):
            async with access.open(bays[at]) as coe:
                await coe.look()

    assert len(await gate.asked()) == 4  # three bays, and the second once more


async def test_another_bays_api_is_not_talked_to(gate: Gate) -> None:
    victim, kubernetes, endpoint = await gate.api(await gate.bay("one"))
    other = await gate.bay("two")
    other = await gate.change(other, f"api_address = 'https://127.0.0.1:{endpoint.port}'")
    async with gate.certs(), gate.access() as access:
        with pytest.raises(CloudError, match="not one of this bay"):
            async with access.open(other) as coe:
                await coe.look()
        assert kubernetes.requests == []
        async with access.open(victim) as coe:
            await coe.look()


async def test_a_bay_without_tls_needs_no_certificate(gate: Gate) -> None:
    bay, kubernetes, _ = await gate.api(await gate.bay())
    plain = await gate.endpoints.open("127.0.0.1", 0, kubernetes)
    bay = await gate.change(
        bay, f"""api_address = 'http://127.0.0.1:{plain.port}', spec = '{{"tls_disabled": true}}'"""
    )
    async with gate.access() as access, access.open(bay) as coe:
        assert [node.name for node in (await coe.look()).nodes] == ["w-0"]

    assert await gate.asked() == []
    assert kubernetes.requests


async def test_certificates_that_ended_a_day_ago_are_removed_and_stay_in_the_trail(gate: Gate) -> None:
    bay, _, _ = await gate.api(await gate.bay())
    async with gate.certs(), gate.access() as access, access.open(bay) as coe:
        await coe.look()
    profiles = "SELECT profile FROM certificates ORDER BY profile"
    assert await gate.world.column(profiles) == ["owner", "scaler"]

    await gate.world.signer().sweep()
    assert await gate.world.column(profiles) == ["owner", "scaler"]
    await gate.world.rows("UPDATE certificates SET not_after = now() - interval '25 hours'")
    await gate.world.signer().sweep()

    assert await gate.world.column(profiles) == ["owner"]
    trail = "SELECT action FROM certificate_audit WHERE requester = 'service:scaler' ORDER BY seq"
    assert await gate.world.column(trail) == ["signing", "issued"]
