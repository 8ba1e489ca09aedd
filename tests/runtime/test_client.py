"""The typed client: logs in once, speaks microversion 1.2, passes on the server's own words."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web
from pydantic import SecretStr

from shared.client.api import JeroboamClient
from shared.client.login import Credentials
from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import GoneEvent, StatusEvent
from shared.domain.errors import CloudError
from shared.runtime.egress import EgressPolicy, EgressRefused

WHO = Credentials(username="demo", password=SecretStr("open sesame"), project="demo")
LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))


@dataclass
class Cloud:
    """A Keystone and an API that answers every path with what the test laid out."""

    url: str = ""
    logins: int = 0
    good_token: str = "token-1"
    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    asked: list[tuple[str, str, object]] = field(default_factory=list)
    versions: set[str | None] = field(default_factory=set)
    stream: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def login(self, request: web.Request) -> web.Response:
        body = await request.json()
        user = body["auth"]["identity"]["password"]["user"]
        if user["password"] != "open sesame":
            return web.json_response({"error": {"message": "The password is wrong.", "code": 401}}, status=401)
        self.logins += 1
        endpoint = {"interface": "public", "region_id": "RegionOne", "url": f"{self.url}/v1"}
        token = {
            "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "project": {"id": "p1"},
            "user": {"id": "u1"},
            "catalog": [{"type": "container-infra", "endpoints": [endpoint]}],
        }
        return web.json_response({"token": token}, status=201, headers={"X-Subject-Token": f"token-{self.logins}"})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.stream is not None:
            return await self.stream(request)
        if request.headers.get("X-Auth-Token") != self.good_token:
            return web.Response(status=401)
        self.versions.add(request.headers.get("OpenStack-API-Version"))
        key = f"{request.method} {request.path}"
        self.asked.append((request.method, request.path, await request.json() if request.can_read_body else None))
        status, body = self.answers[key]
        return web.Response(status=204) if body is None else web.json_response(body, status=status)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    app = web.Application()
    app.router.add_post("/identity/v3/auth/tokens", made.login)
    app.router.add_route("*", "/v1/{tail:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield made
    await runner.cleanup()


def connect(cloud: Cloud, who: Credentials = WHO, egress: EgressPolicy = LOOPBACK) -> JeroboamClient:
    return JeroboamClient.connect(f"{cloud.url}/identity/v3", who, egress=egress)


async def test_it_logs_in_once_and_asks_for_microversion_1_2(cloud: Cloud) -> None:
    cloud.answers = {
        "POST /v1/bays": (202, {"uuid": "b1"}),
        "PATCH /v1/bays/b1": (202, {"uuid": "b1"}),
        "DELETE /v1/bays/b1": (204, None),
        "GET /v1/bays": (200, {"bays": []}),
    }
    async with connect(cloud) as client:
        assert await client.create_bay({"baymodel_id": "m"}) == "b1"
        assert await client.resize_bay("b1", 4) == "b1"
        await client.delete_bay("b1")
        assert await client.bays() == []
    assert cloud.logins == 1
    assert cloud.versions == {"container-infra 1.2"}
    assert cloud.asked[1] == ("PATCH", "/v1/bays/b1", [{"op": "replace", "path": "/node_count", "value": 4}])


async def test_operations_come_with_their_steps(cloud: Cloud) -> None:
    step: dict[str, object] = {
        "name": "create.stack",
        "service": "provisioner",
        "sentence": "Create the Heat stack",
        "state": "running",
    }
    step |= {"attempt": 1, "note": None, "started_at": "2026-11-22T10:00:00Z", "finished_at": None}
    operation: dict[str, object] = {
        "id": "o1",
        "seq": 1,
        "kind": "create",
        "state": "active",
        "error": None,
        "requested_by": "demo",
    }
    operation |= {"created_at": "2026-11-22T10:00:00Z", "finished_at": None, "steps": [step]}
    cloud.answers = {"GET /v1/bays/my bay/operations": (200, {"operations": [operation]})}
    async with connect(cloud) as client:
        (found,) = await client.operations("my bay")
    assert (found.kind, found.steps[0].sentence) == ("create", "Create the Heat stack")


OPERATION = (
    '{"id": "o1", "seq": 1, "kind": "create", "state": "active", "error": null, "requested_by": "demo", '
    '"created_at": "2026-11-22T10:00:00Z", "finished_at": null, "steps": []}'
)
STATUS = (
    '{"at": "2026-11-22T10:00:00Z", "event": "created", "was": null, "became": "CREATE_COMPLETE", '
    '"reason": "Caf\u00e9", "operation_id": null}'
)


def streaming(cloud: Cloud, *pieces: bytes, abort: bool = False) -> None:
    """The API answers with these pieces as a stream, and may break off after them."""

    async def stream(request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Auth-Token") != cloud.good_token:
            return web.Response(status=401)
        cloud.asked.append((request.method, request.path_qs, request.headers["Accept"]))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if abort and request.transport is not None:
            request.transport.abort()
        return response

    cloud.stream = stream


async def test_events_come_one_by_one_with_where_to_go_on(cloud: Cloud) -> None:
    line = f"event: status\ndata: {STATUS}\nid: 17\n\n".encode()
    cut = line.index("\u00e9".encode()) + 1  # within a character
    streaming(
        cloud,
        b"retry: 2000\n\n: ping\n\n" + line[:cut],
        line[cut:] + f"event: operation\ndata: {OPERATION}\n\nevent: later\ndata: 1\n\n".encode(),
        b'event: gone\ndata: {"uuid":\ndata: "b1"}\n\n',
    )
    async with connect(cloud) as client:
        told = [one async for one in client.events("b1", after=16)]
    assert [one.after for one in told] == [17, 17, 17]
    status, operation, gone = (one.data for one in told)
    assert isinstance(status, StatusEvent)
    assert (status.became, status.reason) == ("CREATE_COMPLETE", "Caf\u00e9")
    assert isinstance(operation, OperationOut)
    assert gone == GoneEvent(uuid="b1")
    assert cloud.asked == [("GET", "/v1/bays/b1/events?after=16", "text/event-stream")]


async def test_a_stream_that_breaks_says_so_after_what_came(cloud: Cloud) -> None:
    cloud.good_token = "token-2"  # the first one is refused, once
    streaming(cloud, f"event: status\ndata: {STATUS}\nid: 17\n\n".encode(), abort=True)
    async with connect(cloud) as client:
        events = client.events("b1")
        told = [(await anext(events)).after]
        with pytest.raises(CloudError) as broken:
            await anext(events)
    assert told == [17]
    assert broken.value.retryable
    assert cloud.logins == 2


async def test_a_stream_is_refused_in_the_server_s_words_and_sense_is_demanded(cloud: Cloud) -> None:
    cloud.answers = {"GET /v1/bays/b9/events": (404, {"errors": [{"detail": "Bay b9 could not be found."}]})}
    async with connect(cloud) as client:
        with pytest.raises(CloudError, match="Bay b9 could not be found") as refused:
            await anext(client.events("b9"))
        assert refused.value.status == 404
        streaming(cloud, b"event: gone\ndata: []\n\n")
        with pytest.raises(CloudError, match="no event gone"):
            await anext(client.events("b1"))


async def test_the_servers_words_come_through(cloud: Cloud) -> None:
    detail = "Cluster b9 could not be found."
    cloud.answers = {"GET /v1/bays/b9": (404, {"errors": [{"status": 404, "title": "Cluster", "detail": detail}]})}
    async with connect(cloud) as client:
        with pytest.raises(CloudError, match=detail) as caught:
            await client.bay("b9")
    assert caught.value.status == 404


async def test_an_answer_of_another_shape_is_named_not_trusted(cloud: Cloud) -> None:
    cloud.answers = {"POST /v1/bays": (202, {"id": "b1"})}
    async with connect(cloud) as client:
        with pytest.raises(CloudError, match="uuid"):
            await client.create_bay({})


async def test_a_token_that_the_api_refuses_is_renewed_once(cloud: Cloud) -> None:
    cloud.answers = {"GET /v1/bays": (200, {"bays": []})}
    async with connect(cloud) as client:
        await client.bays()
        cloud.good_token = "token-2"
        assert await client.bays() == []
        assert cloud.logins == 2
        cloud.good_token = "another"
        with pytest.raises(CloudError) as caught:
            await client.bays()
    assert caught.value.status == 401
    assert cloud.logins == 3


async def test_a_wrong_password_is_told_without_telling_it(cloud: Cloud) -> None:
    wrong = Credentials(username="demo", password=SecretStr("guess"), project="demo")
    async with connect(cloud, wrong) as client:
        with pytest.raises(CloudError, match="The password is wrong") as caught:
            await client.bays()
    assert "guess" not in str(caught.value)
    assert "guess" not in repr(wrong)


async def test_the_egress_policy_holds_for_it_too(cloud: Cloud) -> None:
    async with connect(cloud, egress=EgressPolicy(allow=(ip_network("198.51.100.0/24"),))) as client:
        with pytest.raises(EgressRefused):
            await client.bays()
