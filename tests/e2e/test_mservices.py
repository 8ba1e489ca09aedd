"""Who works behind the API, as administrators see it: the living by their beats, the dead by their silence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from services.cli.programs import WORKERS
from services.cli.stack import LocalStack
from tests.support.wire import Wire, detail, wires

SCALE = 0.03
"""Dead after 5.4 s of silence instead of 180, with a beat every 1.8 s."""


async def test_the_living_are_up_and_the_dead_are_down(tmp_path: Path) -> None:
    async with (
        LocalStack(tmp_path, speed=40, time_scale=SCALE) as stack,
        wires(stack, "admin", "demo") as (admin, demo),
    ):
        first = await _told(admin, dict.fromkeys(WORKERS, "up"))
        assert {one["binary"] for one in first.values()} == {f"jeroboam-{worker}" for worker in WORKERS}
        stack.supervisor.kill("scaler-1")
        last = await _told(admin, {**dict.fromkeys(WORKERS, "up"), "scaler": "down"})
        for worker in ("certs", "provisioner"):
            assert last[worker]["report_count"] > first[worker]["report_count"]
        assert last["scaler"]["last_seen_up"] < min(last[worker]["last_seen_up"] for worker in ("certs", "provisioner"))
        refused = await demo("GET", "/v1/mservices")
        assert (refused.status_code, detail(refused)) == (
            403,
            "Policy doesn't allow magnum-service:get_all to be performed.",
        )


async def _told(admin: Wire, wanted: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The workers by name, as soon as their states are these."""
    async with asyncio.timeout(30):
        while True:
            found = await _listed(admin)
            if {name: one["state"] for name, one in found.items()} == wanted:
                return found
            await asyncio.sleep(0.1)


async def _listed(admin: Wire) -> dict[str, dict[str, Any]]:
    hosts = (await admin.get("/v1/mservices"))["mservices"]
    assert len(hosts) <= 1  # none before the first beat
    found = [one for host in hosts for one in host["workers"]]
    assert len(found) == len({one["binary"] for one in found})
    for host in hosts:
        assert host["state"] == ("up" if all(one["state"] == "up" for one in found) else "down")
    return {one["binary"].removeprefix("jeroboam-"): one for one in found}
