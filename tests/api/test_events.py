"""The stream of a bay's events through the door: what it tells, in which order, from where on, and to whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.api.harness import System, database, detail, running
from tests.api.streams import PATIENCE, Watching


@asynccontextmanager
async def watching(
    system: System, bay: str, *, user: str = "demo", headers: dict[str, str] | None = None, path: str = "/v1/bays"
) -> AsyncIterator[Watching]:
    """An open stream; `bay` may have a query."""
    token = await asyncio.to_thread(system.token, user)
    ident, _, asked = bay.partition("?")
    url = f"{system.api_url}{path}/{ident}/events?{asked}"
    async with (
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", url, headers={"X-Auth-Token": token, **(headers or {})}) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        yield Watching(answer.aiter_text(), answer.headers)


async def move(system: System, bay: str, became: str, event: str = "moved", reason: str | None = None) -> int:
    """A line of the history, as a worker writes it; its number."""
    (row,) = await system.sql(
        "INSERT INTO bay_history (bay_id, event, was, became, reason) "
        "SELECT id, $2, status, $3, $4 FROM bays WHERE id = $1 RETURNING seq",
        UUID(bay),
        event,
        became,
        reason,
    )
    await system.sql("UPDATE bays SET status = $2 WHERE id = $1", UUID(bay), became)
    return int(row["seq"])


async def step(system: System, bay: str, name: str, state: str, note: str | None = None) -> None:
    """A step moves, as a worker moves it."""
    await system.sql(
        "UPDATE operation_steps SET state = $3, note = $4, started_at = coalesce(started_at, now()) "
        "WHERE name = $2 AND operation_id IN (SELECT id FROM operations WHERE bay_id = $1)",
        UUID(bay),
        name,
        state,
        note,
    )


# what is told


async def test_the_present_comes_first_and_every_change_follows(system: System) -> None:
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    async with watching(system, bay, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-cache"
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert stream.headers["X-OpenStack-Request-ID"]
        status, operation = await stream.next(), await stream.next()
        assert status is not None
        assert operation is not None
        assert (status.kind, status.data["was"], status.data["became"]) == ("status", None, "CREATE_IN_PROGRESS")
        assert status.data.keys() == {"at", "event", "was", "became", "reason", "operation_id"}
        listed = (await asyncio.to_thread(system.call, "GET", f"/v1/bays/{bay}/operations")).json()["operations"]
        assert (operation.kind, operation.id, operation.data["kind"]) == ("operation", None, "create")
        assert operation.data.keys() == listed[0].keys()

        await step(system, bay, "create.follow", "waiting", "Heat: CREATE_IN_PROGRESS")
        while True:  # the first step is done meanwhile, which is told too
            told = await stream.until("operation")
            (moved,) = [one for one in told.data["steps"] if one["name"] == "create.follow"]
            if moved["state"] == "waiting":
                break
        assert moved["note"] == "Heat: CREATE_IN_PROGRESS"
        assert told.data["started_at"] == min(one["started_at"] for one in told.data["steps"] if one["started_at"])

        seq = await move(system, bay, "CREATE_COMPLETE", reason="Because.")
        told = await stream.until("status")
        assert (told.id, told.data["became"], told.data["reason"]) == (str(seq), "CREATE_COMPLETE", "Because.")


async def test_an_operation_that_begins_and_ends_between_two_looks_is_told(system: System) -> None:
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    async with watching(system, bay) as stream:
        first = await stream.until("operation")
        await system.sql(
            "UPDATE operations SET state = 'done', finished_at = now() WHERE id = $1", UUID(first.data["id"])
        )
        await system.sql(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, requested_by, finished_at) "
            "VALUES (gen_random_uuid(), $1, 'resize', 'done', 'scaler', 'resize.plan', 'me', now())",
            UUID(bay),
        )
        assert (await stream.until("operation", kind="create")).data["state"] == "done"
        assert (await stream.until("operation", kind="resize")).data["state"] == "done"


async def test_the_end_of_the_bay_is_the_end_of_the_stream(system: System) -> None:
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    async with watching(system, bay) as stream:
        await stream.until("operation")
        await system.sql(
            "WITH told AS (INSERT INTO bay_history (bay_id, event, was, became) "
            "VALUES ($1, 'deleted', 'DELETE_IN_PROGRESS', 'DELETE_COMPLETE')) DELETE FROM bays WHERE id = $1",
            UUID(bay),
        )
        assert (await stream.until("status")).data["became"] == "DELETE_COMPLETE"
        gone = await stream.next()
        assert gone is not None
        assert (gone.kind, gone.data) == ("gone", {"uuid": bay})
        assert await stream.next() is None
    assert (await asyncio.to_thread(system.call, "GET", f"/v1/bays/{bay}/events")).status_code == 404


async def test_a_stream_goes_on_where_another_ended(system: System) -> None:
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    async with watching(system, bay) as stream:
        first = await stream.until("status")
    seqs = [await move(system, bay, status) for status in ("CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_FAILED")]
    (first_operation,) = (await asyncio.to_thread(system.call, "GET", f"/v1/bays/{bay}/operations")).json()[
        "operations"
    ]
    await system.sql(
        "UPDATE operations SET state = 'failed', finished_at = now() WHERE id = $1", UUID(first_operation["id"])
    )
    async with watching(system, f"{bay}?after={first.id}") as stream:
        ended = await stream.next()
        assert ended is not None
        assert (ended.kind, ended.data["state"]) == ("operation", "failed")
        assert [(await stream.until("status")).id for _ in seqs] == [str(seq) for seq in seqs]
    # Browsers repeat the address as it was and say in the header how far they are.
    async with watching(system, f"{bay}?after={first.id}", headers={"Last-Event-ID": str(seqs[1])}) as stream:
        assert (await stream.until("status")).id == str(seqs[2])
    async with watching(system, f"{bay}?after=0") as stream:
        assert [(await stream.until("status")).id for _ in range(4)] == [first.id, *map(str, seqs)]
    async with watching(system, bay, headers={"Last-Event-ID": "999999999999"}) as stream:
        assert (await stream.until("status")).id == str(seqs[2]), "a number that is none begins with the present"


async def test_a_cluster_has_them_too(system: System) -> None:
    bay = await asyncio.to_thread(system.bay)
    async with watching(system, bay["name"], path="/v1/clusters") as stream:
        assert (await stream.until("operation")).data["kind"] == "create"
    listed = await asyncio.to_thread(system.call, "GET", f"/v1/clusters/{bay['uuid']}/operations")
    assert [one["kind"] for one in listed.json()["operations"]] == ["create"]
    assert "Cluster" in detail(await asyncio.to_thread(system.call, "GET", "/v1/clusters/none/events"))
    assert "Cluster" in detail(await asyncio.to_thread(system.call, "GET", "/v1/clusters/none/operations"))


# who may, and what is refused


def test_who_may_not_see_the_bay_may_not_watch_it(system: System) -> None:
    path = f"/v1/bays/{system.bay()['uuid']}/events"
    assert system.call("GET", path, user="alt").status_code == 404
    assert system.call("GET", path, user=None).status_code == 401
    assert system.call("GET", "/v1/bays/none/events").status_code == 404


@pytest.mark.parametrize("asked", ["?after=x", "?after=-1", "?after=9999999999999999999", "?bogus=1"])
def test_what_is_no_number_is_refused(system: System, asked: str) -> None:
    answer = system.call("GET", f"/v1/bays/none/events{asked}")
    assert answer.status_code == 400
    assert asked.strip("?").partition("=")[0] in detail(answer)


def test_headers_are_judged(system: System) -> None:
    assert system.call("GET", "/v1/bays/none/events", headers={"Last-Event-ID": "1; 2"}).status_code == 400
    assert system.call("GET", "/v1/bays/none/events", headers={"Accept": "text/html"}).status_code == 406
    assert system.call("GET", "/v1/bays/none", headers={"Accept": "text/event-stream"}).status_code == 406
    assert system.call("POST", "/v1/bays/none/events").status_code == 405


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[tuple[System, ExitStack]]:
    """A gateway with a place for one stream, and what ends it."""
    with ExitStack() as life:
        dsn = life.enter_context(database())
        running_life = life.enter_context(ExitStack())
        yield running_life.enter_context(running(dsn, tmp_path, JEROBOAM_EVENTS_STREAMS="1")), running_life


async def test_one_place_is_taken_and_given_back(lonely: tuple[System, ExitStack]) -> None:
    system, _life = lonely
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    for _ in range(3):
        async with watching(system, bay) as stream:
            await stream.until("operation")
            refused = await asyncio.to_thread(system.call, "GET", f"/v1/bays/{bay}/events")
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "event streams" in detail(refused)
        # The client has gone; the gateway hears of it and has its place again.
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with watching(system, bay) as again:
                        await again.until("operation")
                    break
                except AssertionError:
                    await asyncio.sleep(0.05)


def test_a_gateway_that_stops_ends_its_streams(lonely: tuple[System, ExitStack]) -> None:
    """Cleanly: had it waited until its patience was over, it would have cut the stream off within a chunk."""
    system, life = lonely
    bay = system.bay()["uuid"]
    begun = threading.Event()
    ends: list[object] = []

    def watch() -> None:
        try:
            url = f"{system.api_url}/v1/bays/{bay}/events"
            with httpx.stream("GET", url, headers={"X-Auth-Token": system.token("demo")}, timeout=60) as answer:
                for _chunk in answer.iter_bytes():
                    begun.set()
            ends.append("clean")
        except httpx.HTTPError as error:
            ends.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert begun.wait(PATIENCE)
    life.close()
    watcher.join(PATIENCE)
    assert ends == ["clean"]
    assert "Traceback" not in (system.home / "api.log").read_text()
