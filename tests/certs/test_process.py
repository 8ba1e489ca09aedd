"""`python -m services.certs` on the embedded bus: it signs, it survives SIGKILL between intent and answer."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.db.repositories import authorities
from shared.pki_client import describe, new_key_and_csr, verify_chain
from tests.certs.process import environment, gateway, running_certs
from tests.certs.world import World


async def test_the_gateway_gets_its_certificate_over_the_bus(world: World, tmp_path: Path) -> None:
    await world.make_authorities()
    request = await world.ask(new_key_and_csr("admin", "system:masters").csr_pem)

    async with running_certs(world, tmp_path), gateway(world) as asker:
        await asker.send(world, request)
        reply = await asker.reply()

    assert (reply.sign_request_id, reply.bay_id) == (request, world.bay_id)
    async with world.engine.connect() as conn:
        authority = await authorities.current(conn, world.bay_id, "kubernetes")
    assert authority is not None
    verify_chain(await world.signed(request), authority.certificate)
    log = (tmp_path / "certs.log").read_text()
    assert "BEGIN" not in log
    assert (tmp_path / "master.key").read_text() not in log


@pytest.mark.parametrize("point", ["certs:sign_intended", "certs:sign_issued"])
async def test_a_kill_in_the_middle_leaves_one_certificate_and_one_trail(
    world: World, tmp_path: Path, point: str
) -> None:
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    wish = new_key_and_csr("admin", "system:masters").csr_pem
    request = await world.ask(wish)
    (tmp_path / point).touch()

    async with gateway(world) as asker:
        async with running_certs(world, tmp_path) as doomed:
            await asker.send(world, request)
            assert await asyncio.wait_for(doomed.wait(), 20) == -signal.SIGKILL
        (planned,) = await world.column("SELECT serial FROM certificates")
        again = await world.ask(wish)
        async with running_certs(world, tmp_path):
            await asker.send(world, again)
            while (reply := await asker.reply()).sign_request_id != again:
                continue  # the first message, delivered again
            assert reply.sign_request_id == again

    pem = await world.signed(request)
    assert await world.signed(again) == pem
    assert describe(pem).serial == f"{int(str(planned), 16):x}"
    assert await world.column("SELECT count(*) FROM certificates") == [1]
    assert await world.rows("SELECT action, serial FROM certificate_audit ORDER BY seq") == [
        ("signing", planned),
        ("issued", planned),
    ]


async def test_a_lost_message_is_made_up_for_by_the_sweep(world: World, tmp_path: Path) -> None:
    await world.make_authorities()
    request = await world.ask(new_key_and_csr("admin", "system:masters").csr_pem)

    async with running_certs(world, tmp_path), asyncio.timeout(20):
        while (await world.outcome(request)).state == "pending":
            await asyncio.sleep(0.05)
    assert await world.signed(request)


async def test_it_does_not_start_with_a_key_that_others_can_read(world: World, tmp_path: Path) -> None:
    settings = environment(world, tmp_path)
    (tmp_path / "master.key").chmod(0o644)

    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "services.certs"], env=settings, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"jeroboam-certs: {tmp_path}/master.key has mode 0644: others could read the master key; chmod it to 0600."
    )
