"""`python -m services.certs` killed in the middle of a batch: one certificate and one trail for every request of it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from shared.pki_client import describe
from tests.certs.process import gateway, running_certs
from tests.certs.requests import csr
from tests.certs.world import World

MANY = 12


@pytest.mark.parametrize("point", ["certs:sign_intended", "certs:sign_issued"])
async def test_a_kill_in_the_midst_of_a_batch(world: World, tmp_path: Path, point: str) -> None:
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    wishes = [csr() for _ in range(MANY)]
    requests = [await world.ask(wish) for wish in (*wishes, *wishes[:2])]
    refused = await world.ask("no CSR")
    (tmp_path / point).touch()

    async with gateway(world) as asker:
        async with running_certs(world, tmp_path) as doomed:
            await asyncio.gather(*(asker.send(world, one) for one in (*requests, refused)))
            assert await asyncio.wait_for(doomed.wait(), 30) == -signal.SIGKILL
        planned = await world.column("SELECT serial FROM certificates")
        async with running_certs(world, tmp_path), asyncio.timeout(60):  # by the messages again, or by the sweep
            while await world.column("SELECT 1 FROM sign_requests WHERE state = 'pending'"):
                await asyncio.sleep(0.1)

    pems = [await world.signed(one) for one in requests]
    assert pems[MANY:] == pems[:2]
    serials = {f"{int(describe(pem).serial, 16):032x}" for pem in pems}
    assert len(serials) == MANY
    assert serials >= set(planned)
    assert (await world.outcome(refused)).state == "refused"
    trail = await world.rows(
        "SELECT serial, string_agg(action, ' ' ORDER BY seq) FROM certificate_audit GROUP BY serial"
    )
    assert dict(trail) == dict.fromkeys(serials, "signing issued")  # type: ignore[arg-type] # both are texts
