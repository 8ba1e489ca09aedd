"""Nothing lost: a process kills itself at every point of every flow, and the work is finished by the next one.

Points are armed a few at a time, each with a bay of its own in flight; whichever process passes a point dies there.
The checks are about what is left: one stack a bay, no second server or volume, and after delete the cloud as before.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from tests.kill.conftest import killable
from tests.kill.points import BUSES, all_points, all_struck, step_points, struck_on
from tests.support.jobs import BAYMODEL, cloud_counts, control, patient, reason, rows, settled

WAVE = 4
"""Points armed at once. More would let one bay meet several deaths in one step, which is allowed only five times."""

RESUME_WITHIN = 90.0
"""Seconds, the design's own figure; under the tests' time scale everything is well inside it."""


@pytest.mark.parametrize("bus", BUSES)
async def test_every_operation_survives_a_kill_at_every_point(bus: str, tmp_path: Path) -> None:
    async with killable(tmp_path, bus) as (stack, points), stack.client("demo") as client:
        run = _Run(bus, stack, points, client)
        await run.prepare()
        await run.kind(OperationKind.CREATE)
        await run.kind(OperationKind.RESIZE)
        await run.kind(OperationKind.DELETE)
        await run.nothing_is_left()


@pytest.mark.parametrize("bus", BUSES)
async def test_a_delete_overtakes_at_every_point(bus: str, tmp_path: Path) -> None:
    async with killable(tmp_path, bus) as (stack, points), stack.client("demo") as client:
        run = _Run(bus, stack, points, client)
        await run.prepare()
        await run.overtaken(OperationKind.CREATE)
        await run.overtaken(OperationKind.RESIZE)
        await run.nothing_is_left()


class _Run:
    def __init__(self, bus: str, stack: LocalStack, points: Path, client: JeroboamClient) -> None:
        self.bus, self.stack, self.points, self.client = bus, stack, points, client
        self.before: dict[str, int] = {}
        self.model = ""
        self.bays: list[str] = []

    async def prepare(self) -> None:
        self.before = await cloud_counts(self.stack)
        # With volumes for pods, so that a credential for the nodes is made, and must be revoked.
        self.model = (await self.client.create_baymodel({**BAYMODEL, "volume_driver": "cinder"})).uuid

    async def kind(self, kind: OperationKind) -> None:
        """One wave of points after another, each with as many operations of this kind under way."""
        for wave in _waves(struck_on(self.bus, all_points(kind))):
            self._arm(wave)
            bays = await asyncio.gather(*(self._ask(kind, number) for number in range(len(wave))))
            ends = await asyncio.gather(*(settled(self.client, bay, seconds=RESUME_WITHIN) for bay in bays))
            wanted = {"create": "CREATE_COMPLETE", "resize": "UPDATE_COMPLETE", "delete": ""}[kind.value]
            for bay, end in zip(bays, ends, strict=True):
                assert end == wanted, (wave, bay, end, await reason(self.client, bay) if end else "gone")
            await all_struck(self.points)
            await self._exactly_one_of_each()

    async def overtaken(self, kind: OperationKind) -> None:
        """One bay for each armed point; its delete is sent as soon as a process has died there."""
        for wave in _waves(struck_on(self.bus, step_points(kind))):
            if kind is OperationKind.RESIZE:
                self.bays = await asyncio.gather(*(self._create(i) for i in range(len(wave))))
                ends = await asyncio.gather(*(settled(self.client, bay) for bay in self.bays))
                assert set(ends) == {"CREATE_COMPLETE"}, ends
            self._arm(wave)
            await asyncio.gather(*(self._one_overtaken(kind, number, point) for number, point in enumerate(wave)))
            await all_struck(self.points)

    async def _one_overtaken(self, kind: OperationKind, number: int, point: str) -> None:
        bay = await self._ask(kind, number)
        await self._struck(point)
        await self._delete(bay)
        assert await settled(self.client, bay, seconds=RESUME_WITHIN) == ""

    async def _struck(self, point: str) -> None:
        """Until somebody has died there: this bay's own process, if nobody else's before."""
        async with asyncio.timeout(RESUME_WITHIN):
            while (self.points / point).exists():
                await asyncio.sleep(0.02)

    async def nothing_is_left(self) -> None:
        """The cloud as before the first create, no key, no credential, no dead letter, no operation under way."""
        for bay in [one.uuid for one in await patient(self.client.bays)]:
            await self._delete(bay)
            assert await settled(self.client, bay, seconds=RESUME_WITHIN) == ""
        await self._swept()
        for table in ("bays", "operations", "authority_keys", "cloud_credentials", "nodes", "dead_letters"):
            assert await rows(self.stack, f"SELECT * FROM {table}") == [], table

    async def _swept(self) -> None:
        """Until the cloud is as before. What a gateway began for a bay that it never wrote waits for the slow sweep."""
        async with asyncio.timeout(RESUME_WITHIN):
            while await cloud_counts(self.stack) != self.before or await rows(
                self.stack, "SELECT name FROM cloud_credentials"
            ):
                await asyncio.sleep(0.5)

    def _arm(self, wave: list[str]) -> None:
        for point in wave:
            (self.points / point).touch()

    async def _ask(self, kind: OperationKind, number: int) -> str:
        if kind is OperationKind.CREATE:
            bay = await self._create(number)
            self.bays.append(bay)
            return bay
        bay = self.bays[number] if kind is OperationKind.RESIZE else self.bays.pop()
        if kind is OperationKind.RESIZE:
            count = (await patient(self.client.bay, bay)).node_count
            await patient(self.client.resize_bay, bay, 2 if count == 1 else 1)
        else:
            await self._delete(bay)
        return bay

    async def _delete(self, bay: str) -> None:
        """A DELETE whose answer was lost is sent again; by then the bay may be gone, which is what was asked for."""
        try:
            await patient(self.client.delete_bay, bay)
        except CloudError as error:
            if error.status != 404:
                raise

    async def _create(self, number: int) -> str:
        """A POST whose answer was lost is looked up by its name instead of sent again."""
        name = f"bay-{number}-{len(self.bays)}-{asyncio.get_running_loop().time():.6f}".replace(".", "-")
        while True:
            for bay in await patient(self.client.bays):
                if bay.name == name:
                    return str(bay.uuid)
            try:
                return await self.client.create_bay({"name": name, "baymodel_id": self.model, "node_count": 1})
            except Exception:
                await asyncio.sleep(0.2)

    async def _exactly_one_of_each(self) -> None:
        """As many stacks as bays, as many servers as nodes; no volume or floating address that no server has."""
        bays = await patient(self.client.bays)
        counts = await cloud_counts(self.stack)
        servers = sum(bay.node_count + bay.master_count for bay in bays)
        top = [one for one in (await control(self.stack, "/heat/stacks"))["stacks"] if one["parent"] is None]
        assert len(top) == len(bays)
        assert counts["server"] - self.before["server"] == servers
        assert counts["volume"] - self.before["volume"] == servers
        credentials = await rows(self.stack, "SELECT c.name FROM cloud_credentials c JOIN bays b ON b.id = c.bay_id")
        assert len(credentials) == len(bays)


def _waves(points: list[str]) -> list[list[str]]:
    return [points[start : start + WAVE] for start in range(0, len(points), WAVE)]
