"""A queue outlives its workers: processes die at every point of three resizes of a bay, and nothing asked is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from services.cli.stack import LocalStack
from shared.domain.operation import OperationKind
from tests.kill.conftest import killable
from tests.kill.points import BUSES, all_points, all_struck, struck_on
from tests.support.jobs import control, patient, reason, rows, settled
from tests.support.queues import standstill, workers_of
from tests.support.wire import Wire, wires

BAYS = 4
"""They share the deaths: one bay alone would wait for a lease nine times over."""

RESUME_WITHIN = 90.0


@pytest.mark.parametrize("bus", BUSES)
async def test_the_last_wish_counts_whoever_dies_meanwhile(bus: str, tmp_path: Path) -> None:
    points = struck_on(bus, all_points(OperationKind.RESIZE))
    async with killable(tmp_path, bus) as (stack, armed), wires(stack, "demo") as (demo,):
        model = await demo.template()
        bays = [await demo.create(cluster_template_id=model, node_count=2) for _ in range(BAYS)]
        ends = await asyncio.gather(*(settled(demo.client, bay) for bay in bays))
        assert set(ends) == {"CREATE_COMPLETE"}, ends
        born = {bay: await workers_of(stack, bay) for bay in bays}

        for point in points:
            (armed / point).touch()
        async with standstill(stack):  # until all that is asked for waits
            await asyncio.gather(*(_three_wishes(demo, bay, leaves=born[bay][0]) for bay in bays))
        ends = await asyncio.gather(*(settled(demo.client, bay, seconds=RESUME_WITHIN) for bay in bays))
        for bay, end in zip(bays, ends, strict=True):
            assert end == "UPDATE_COMPLETE", (bay, await reason(demo.client, bay))
        await all_struck(armed)

        for bay in bays:
            told = [(one.kind, one.state) for one in await patient(demo.client.operations, bay)]
            assert told == [*[("resize", "done")] * 3, ("create", "done")]
            left = await workers_of(stack, bay)
            assert (len(left), (await patient(demo.client.bay, bay)).node_count) == (4, 4)
            assert set(born[bay]) & set(left) == {born[bay][1]}
        await _nothing_twice(stack, bays)


async def _three_wishes(demo: Wire, bay: str, *, leaves: str) -> None:
    """Grow, let one that is named go, grow again; none of which replaces another."""
    for number, (count, named) in enumerate(((3, []), (2, [leaves]), (4, [])), 1):
        body = {"node_count": count, "nodes_to_remove": named}
        async with asyncio.timeout(RESUME_WITHIN):
            # An answer that is lost leaves open whether it was accepted; the list of operations tells.
            while len(await patient(demo.client.operations, bay)) <= number:
                try:
                    answer = await demo("POST", f"/v1/clusters/{bay}/actions/resize", body)
                except httpx.TransportError:
                    continue
                assert answer.status_code in {202, 503}, answer.text


async def _nothing_twice(stack: LocalStack, bays: list[str]) -> None:
    """One stack a bay, and in the cloud exactly the servers that we know, a volume each."""
    top = [one for one in (await control(stack, "/heat/stacks"))["stacks"] if one["parent"] is None]
    assert len(top) == len(bays)
    state = await control(stack, "/state?kind=server")
    known = {one["server_id"] for one in await rows(stack, "SELECT server_id FROM nodes")}
    assert {one["id"] for one in state["records"]["server"]} == known
    volumes = (await control(stack, "/state?kind=volume&records=false"))["counts"]["volume"]
    assert volumes == len(known) == len(bays) * 5
    assert await rows(stack, "SELECT reason FROM dead_letters") == []
