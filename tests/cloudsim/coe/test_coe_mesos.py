"""A Mesos master's agents and maintenance, and Marathon's apps, over their own APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cloudsim.coe.mesos.bay import MesosBay
from tests.support.coe import PlayedBay, mesos_bay


@pytest.fixture
async def bay() -> AsyncIterator[PlayedBay[MesosBay]]:
    async with mesos_bay(nodes=3, masters=1) as played:
        yield played


@pytest.fixture
async def master(bay: PlayedBay[MesosBay]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bay.master_url) as found:
        yield found


@pytest.fixture
async def marathon(bay: PlayedBay[MesosBay]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bay.url) as found:
        yield found


def places(engine: MesosBay, app: str = "/web") -> list[str]:
    return sorted(task["node"] for task in engine.tasks() if task["app"] == app)


async def machine(master: httpx.AsyncClient, name: str) -> dict[str, str]:
    agents = (await master.get("/master/slaves")).json()["slaves"]
    (found,) = (one for one in agents if one["hostname"] == name)
    return {"hostname": name, "ip": found["pid"].partition("@")[2].rpartition(":")[0]}


async def schedule(master: httpx.AsyncClient, *machines: dict[str, str], start: int = 0) -> httpx.Response:
    window = {"machine_ids": [*machines], "unavailability": {"start": {"nanoseconds": start}}}
    return await master.post("/maintenance/schedule", json={"windows": [window] if machines else []})


async def test_agents_tasks_and_state(bay: Any, master: httpx.AsyncClient) -> None:
    bay.engine.add_app("web", 3, cpus=1.5, mem=256)
    agents = (await master.get("/master/slaves")).json()["slaves"]
    assert [one["hostname"] for one in agents] == ["node-0", "node-1", "node-2"]
    assert all(one["active"] and one["used_resources"]["cpus"] == 1.5 for one in agents)
    tasks = (await master.get("/master/tasks", params={"limit": "2", "order": "asc"})).json()["tasks"]
    assert [one["state"] for one in tasks] == ["TASK_RUNNING"] * 2
    state = (await master.get("/master/state")).json()
    assert (state["activated_slaves"], state["leader"]) == (3, "master@10.0.0.4:5050")
    assert [len(one["tasks"]) for one in state["frameworks"]] == [3]
    assert (await master.get("/master/health")).status_code == 200


async def test_a_master_that_does_not_lead_sends_on(bay: Any, master: httpx.AsyncClient) -> None:
    assert (await master.get("/master/redirect")).headers["Location"] == "//10.0.0.4:5050"
    bay.engine.lead("10.0.0.9:5050")
    sent = await master.get("/master/slaves")
    assert (sent.status_code, sent.headers["Location"]) == (307, "//10.0.0.9:5050/master/slaves")
    bay.engine.lead("")
    assert (await master.get("/master/slaves")).status_code == 503


async def test_maintenance_drains_then_ends_then_takes_back(bay: Any, master: httpx.AsyncClient) -> None:
    bay.engine.add_app("web", 3, cpus=0.5)
    one = await machine(master, "node-0")
    refused = await master.post("/machine/down", json=[one])
    assert (refused.status_code, "is not part of a maintenance schedule" in refused.text) == (400, True)
    assert (await schedule(master, one)).status_code == 200
    assert (await master.get("/maintenance/status")).json()["draining_machines"] == [{"id": one}]
    assert "node-0" in places(bay.engine)  # the schedule alone moves nothing
    assert (await master.post("/machine/down", json=[one])).status_code == 200
    assert [agent["name"] for agent in bay.engine.nodes()] == ["node-1", "node-2"]
    assert len(places(bay.engine)) == 3
    assert (await master.get("/maintenance/status")).json() == {"draining_machines": [], "down_machines": [one]}
    assert "cannot be removed from the schedule" in (await schedule(master)).text
    assert (await master.post("/machine/up", json=[one])).status_code == 200
    assert (await master.get("/maintenance/schedule")).json() == {"windows": []}
    assert [agent["name"] for agent in bay.engine.nodes()] == ["node-1", "node-2", "node-0"]
    assert "is not in DOWN mode" in (await master.post("/machine/up", json=[one])).text
    assert (await schedule(master, one, one)).status_code == 400
    assert (await schedule(master, {"hostname": "", "ip": ""})).status_code == 400


@pytest.mark.parametrize(("heeds", "stays"), [(True, False), (False, True)])
async def test_killed_tasks_come_back_where_marathon_looks(heeds: bool, stays: bool) -> None:
    async with mesos_bay(nodes=2, heeds_maintenance=heeds) as bay:
        bay.engine.add_app("web", 1, constraints=[["hostname", "LIKE", "node-0|node-1"]])
        bay.engine.add_app("fill", 1, cpus=1.0, constraints=[["hostname", "CLUSTER", "node-1"]])
        (task,) = (one for one in bay.engine.tasks() if one["app"] == "/web")
        assert task["node"] == "node-0"
        async with (
            httpx.AsyncClient(base_url=bay.master_url) as master,
            httpx.AsyncClient(base_url=bay.url) as marathon,
        ):
            await schedule(master, await machine(master, "node-0"))
            killed = await marathon.post("/v2/tasks/delete", params={"scale": "false"}, json={"ids": [task["id"]]})
            assert [one["id"] for one in killed.json()["tasks"]] == [task["id"]]
        assert places(bay.engine) == (["node-0"] if stays else ["node-1"])


async def test_killing_with_scale_makes_the_app_smaller(bay: Any, marathon: httpx.AsyncClient) -> None:
    bay.engine.add_app("web", 3)
    ids = [one["id"] for one in bay.engine.tasks()[:1]]
    answer = await marathon.post("/v2/tasks/delete", params={"scale": "true"}, json={"ids": ids})
    assert "deploymentId" in answer.json()
    assert (await marathon.get("/v2/apps//web")).json()["app"]["instances"] == 2
    both = await marathon.post("/v2/tasks/delete", params={"scale": "true", "wipe": "true"}, json={"ids": ids})
    assert (both.status_code, both.json()) == (400, {"message": "You cannot use scale and wipe at the same time."})


async def test_the_queue_tells_why_offers_did_not_do(bay: Any, marathon: httpx.AsyncClient) -> None:
    bay.engine.add_app("team/big", 2, cpus=8)
    bay.engine.add_app("one", 4, constraints=[["hostname", "UNIQUE"]])
    queue = {one["app"]["id"]: one for one in (await marathon.get("/v2/queue")).json()["queue"]}
    assert {name: one["count"] for name, one in queue.items()} == {"/team/big": 2, "/one": 1}
    why = {
        name: [line for line in one["processedOffersSummary"]["rejectSummaryLastOffers"] if line["declined"]]
        for name, one in queue.items()
    }
    assert why["/team/big"] == [{"reason": "InsufficientCpus", "declined": 3, "processed": 3}]
    assert why["/one"] == [{"reason": "UnfulfilledConstraint", "declined": 3, "processed": 3}]
    bay.engine.add_node("node-3", cpu=17)
    assert (await marathon.get("/v2/queue")).json() == {"queue": []}
    assert places(bay.engine, "/team/big") == ["node-3", "node-3"]


async def test_apps_over_the_api(bay: Any, marathon: httpx.AsyncClient) -> None:
    made = await marathon.post("/v2/apps", json={"id": "/db/one", "cmd": "sleep 1", "cpus": 0.1, "instances": 2})
    assert made.status_code == 201
    assert (await marathon.post("/v2/apps", json={"id": "db/one"})).status_code == 409
    assert (await marathon.post("/v2/apps", json={"id": "bad", "cpus": "many"})).status_code == 422
    assert (await marathon.put("/v2/apps//db/one", json={"instances": 100})).status_code == 200
    locked = await marathon.put("/v2/apps//db/one", json={"instances": 1})
    assert locked.status_code == 409
    assert locked.json()["message"].startswith("App is locked by one or more deployments.")
    assert len((await marathon.get("/v2/deployments")).json()) == 1
    assert (await marathon.put("/v2/apps//db/one?force=true", json={"instances": 1})).status_code == 200
    assert len((await marathon.get("/v2/apps//db/one/tasks")).json()["tasks"]) == 1
    assert (await marathon.delete("/v2/apps//db/one")).status_code == 200
    gone = await marathon.get("/v2/apps//db/one")
    assert (gone.status_code, gone.json()) == (404, {"message": "App '/db/one' does not exist"})
    info = (await marathon.get("/v2/info")).json()
    assert (info["name"], info["leader"]) == ("marathon", "10.0.0.4:8080")
    assert (await marathon.get("/ping")).text == "pong\n"


async def test_a_silent_agent_is_given_up_and_its_tasks_run_elsewhere(bay: Any, master: httpx.AsyncClient) -> None:
    bay.engine.add_app("web", 3)
    bay.engine.remove_node("node-1")
    agents = {one["hostname"]: one["active"] for one in (await master.get("/slaves")).json()["slaves"]}
    assert agents == {"node-0": True, "node-1": False, "node-2": True}
    await bay.clock.advance(75)
    assert [one["name"] for one in bay.engine.nodes()] == ["node-0", "node-2"]
    assert len(places(bay.engine)) == 3


async def test_a_task_takes_its_time_to_end() -> None:
    async with mesos_bay(nodes=2, stop_seconds=10) as bay:
        bay.engine.add_app("web", 1)
        (task,) = bay.engine.tasks()
        async with httpx.AsyncClient(base_url=bay.url) as marathon:
            await marathon.post("/v2/tasks/delete", json={"ids": [task["id"]]})
        assert [one["state"] for one in bay.engine.tasks()] == ["TASK_KILLING"]
        await bay.clock.advance(10)
        assert [one["id"] != task["id"] for one in bay.engine.tasks()] == [True]
