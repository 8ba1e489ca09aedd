"""A process dies while a CSR is being signed: one certificate, one audit trail, and who asks again gets that one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.cli.stack import LocalStack
from tests.kill.conftest import killable
from tests.kill.points import all_struck
from tests.support.csrs import csr_of
from tests.support.jobs import BAYMODEL, rows
from tests.support.rabbit import GivenRabbit, Rabbit
from tests.support.servers import rabbitmq
from tests.support.wire import Wire, wires

pytestmark = pytest.mark.timeout(300)  # half a minute each where nothing else runs; servers start slowly elsewhere

MANY = 20
"""CSRs at once, so that a batch is under way when its process dies."""

WITHIN = 40.0
"""Seconds in which everybody has their certificate, whoever died; far more than it takes."""


@dataclass(frozen=True)
class Asker:
    """Somebody with a bay."""

    stack: LocalStack
    points: Path
    wire: Wire
    bay: str

    async def once(self, csr: str) -> httpx.Response | None:
        """The answer, None when the gateway died meanwhile."""
        try:
            return await self.wire("POST", "/v1/certificates", {"cluster_uuid": self.bay, "csr": csr})
        except httpx.TransportError:
            return None

    async def patiently(self, csr: str) -> str:
        """The certificate, asked for until it comes; nothing but 503 may come before."""
        async with asyncio.timeout(WITHIN):
            while True:
                answer = await self.once(csr)
                if answer is not None and answer.status_code == 201:
                    return str(answer.json()["pem"])
                assert answer is None or answer.status_code == 503, answer.text
                await asyncio.sleep(0.2)

    async def died_at(self, point: str, *csrs: str) -> None:
        """Whoever passes the point dies; every asker gets a certificate, and by asking again the same."""
        (self.points / point).touch()
        first = await asyncio.gather(*(self.patiently(csr) for csr in csrs))
        await all_struck(self.points)
        again = await asyncio.gather(*(self.patiently(csr) for csr in csrs))
        assert again == first
        assert len(set(first)) == len(csrs)
        await self.one_of_each(len(csrs))

    async def one_of_each(self, count: int) -> None:
        """As many certificates as CSRs, all issued, and each with one line for the intent and one for the issue."""
        found = await rows(self.stack, "SELECT serial, state FROM certificates WHERE bay_id = $1::uuid", self.bay)
        assert [row["state"] for row in found] == ["issued"] * count
        lines = await rows(
            self.stack,
            "DELETE FROM certificate_audit WHERE bay_id = $1::uuid AND serial IS NOT NULL RETURNING action, serial",
            self.bay,
        )
        trail = Counter((row["action"], row["serial"]) for row in lines)
        assert trail == Counter((action, row["serial"]) for row in found for action in ("signing", "issued"))
        await rows(self.stack, "DELETE FROM certificates WHERE bay_id = $1::uuid", self.bay)
        await rows(self.stack, "DELETE FROM sign_requests WHERE bay_id = $1::uuid", self.bay)


@asynccontextmanager
async def asker(root: Path, bus: str) -> AsyncIterator[Asker]:
    """A stack on that bus with a bay whose authority is there."""
    async with killable(root, bus) as (stack, points), wires(stack, "demo") as (wire,):
        model = await wire.client.create_baymodel(BAYMODEL)
        bay = await wire.client.create_bay({"name": "signed", "baymodel_id": model.uuid, "node_count": 1})
        async with asyncio.timeout(WITHIN):
            while (await wire("GET", f"/v1/certificates/{bay}")).status_code != 200:
                await asyncio.sleep(0.05)
        yield Asker(stack, points, wire, str(bay))


@pytest.mark.parametrize("bus", ["rabbitmq", "postgres"])
async def test_whoever_dies_while_signing_leaves_one_certificate(bus: str, tmp_path: Path) -> None:
    async with asker(tmp_path, bus) as who:
        await who.died_at("certs:sign_intended", csr_of())
        for point in ("certs:sign_intended", "certs:sign_issued", "api:sign_asked"):
            await who.died_at(point, *(csr_of() for _ in range(MANY)))


async def test_a_broker_that_is_away_is_said_at_once_and_keeps_nobody_from_a_certificate(tmp_path: Path) -> None:
    """Neither gateway nor authority reaches it; the authority finds the row by itself. Then it comes back, and goes
    away once more while many are being signed."""
    async with asker(tmp_path, "rabbitmq") as who:
        broker, csr = mortal_broker(), csr_of()
        try:
            broker.kill()
            answer = await who.once(csr)
            assert answer is not None
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "The certificate was not signed in time. Ask again." in answer.text
            pem = await who.patiently(csr)
        finally:
            broker.restart()
        assert await who.patiently(csr) == pem
        await who.one_of_each(1)
        csrs = [csr_of() for _ in range(MANY)]
        asking = [asyncio.create_task(who.patiently(one)) for one in csrs]
        await asking[0]
        broker.kill()
        broker.restart()
        first = await asyncio.gather(*asking)
        assert await asyncio.gather(*(who.patiently(one) for one in csrs)) == first
        await who.one_of_each(MANY)


def mortal_broker() -> Rabbit:
    """The tests' own broker. It ends with the thread that started it, so only this one may start it again."""
    broker = rabbitmq()
    if isinstance(broker, GivenRabbit):
        pytest.skip("NOT RUN: a broker that is away (the one of AMQP_URL is not the tests' to kill)")
    return broker
