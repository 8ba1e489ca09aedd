"""The wire that all engines share: TLS with the bay's certificates, requests in any pieces, misbehaviour."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from cloudsim.coe import CoeEndpoints
from cloudsim.coe.kubernetes.bay import KubernetesBay
from tests.support.coe import PlayedBay, TestAuthority, kubernetes_bay


def _client(bay: PlayedBay[KubernetesBay], tmp_path: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path))


async def test_the_server_shows_its_authoritys_certificate_and_takes_its_clients(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=1) as bay, _client(bay, tmp_path) as client:
        assert (await client.get("/version")).json()["gitVersion"] == "v1.28.4"
        assert [one["metadata"]["name"] for one in (await client.get("/api/v1/nodes")).json()["items"]] == ["node-0"]


async def test_another_bays_certificate_is_refused_by_tls(tmp_path: Path) -> None:
    async with kubernetes_bay() as mine, kubernetes_bay() as other:
        context = other.context(tmp_path)
        context.load_verify_locations(cadata=mine.ca)
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(base_url=mine.url, verify=context) as client:
                await client.get("/version")
        assert mine.engine.requests == []


async def test_without_a_certificate_there_is_no_answer() -> None:
    async with kubernetes_bay() as bay:
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(base_url=bay.url, verify=ssl.create_default_context(cadata=bay.ca)) as client:
                await client.get("/version")


async def test_a_strangers_certificate_until_it_behaves(tmp_path: Path) -> None:
    async with kubernetes_bay() as bay:
        context = bay.context(tmp_path)
        bay.engine.misbehave("certificate")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            async with httpx.AsyncClient(base_url=bay.url, verify=context) as client:
                await client.get("/version")
        bay.engine.behave()
        async with httpx.AsyncClient(base_url=bay.url, verify=context) as client:
            assert (await client.get("/version")).status_code == 200


async def test_a_changed_authority_counts_from_the_next_connection(tmp_path: Path) -> None:
    async with kubernetes_bay() as bay:
        fresh = TestAuthority("next")
        bay.endpoint.identity = fresh.identity(bay.address)
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client:
                await client.get("/version")
        bay.authority = fresh
        async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path, "again")) as client:
            assert (await client.get("/version")).status_code == 200


async def test_requests_come_in_pieces_and_several_at_once() -> None:
    async with kubernetes_bay(tls=False) as bay:
        reader, writer = await asyncio.open_connection(bay.address, bay.port)
        for piece in (
            b"GET /ver",
            b"sion HTTP/1.1\r\nHost: x\r\n\r",
            b"\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        ):
            writer.write(piece)
            await writer.drain()
        told = await reader.read()
        writer.close()
    assert told.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("sent", [b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"x" * 40_000])
async def test_what_is_no_request_is_refused(sent: bytes) -> None:
    async with kubernetes_bay(tls=False) as bay:
        reader, writer = await asyncio.open_connection(bay.address, bay.port)
        writer.write(sent)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_misbehaviour(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=1) as bay, _client(bay, tmp_path) as client:
        bay.engine.misbehave("status", path="/nodes$", count=1, status=503)
        assert [(await client.get("/api/v1/nodes")).status_code for _ in range(2)] == [503, 200]
        bay.engine.misbehave("rubbish", path="/nodes$", count=1)
        with pytest.raises(ValueError, match="Expecting"):
            (await client.get("/api/v1/nodes")).json()
        bay.engine.misbehave("drop", count=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/version")
        bay.engine.misbehave("hang", count=1)
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/version", timeout=0.1)
        bay.engine.misbehave("slow", count=1, seconds=20)
        late = asyncio.create_task(client.get("/version"))
        while bay.clock.pending == 0:
            await asyncio.sleep(0)
        assert not late.done()
        await bay.clock.advance(20)
        assert (await late).status_code == 200


async def test_a_lie_says_that_all_nodes_are_well(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=1) as bay:
        bay.engine.fail_node("node-0", silent=False)
        async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client:
            assert _ready((await client.get("/api/v1/nodes/node-0")).json()) == "False"
            bay.engine.misbehave("lie")
            assert _ready((await client.get("/api/v1/nodes/node-0")).json()) == "True"


def _ready(node: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    return next(one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready")


async def test_many_bays_wait_without_a_task_each() -> None:
    endpoints = CoeEndpoints()
    async with kubernetes_bay(tls=False) as bay:
        before = len(asyncio.all_tasks())
        for _ in range(200):
            await endpoints.open(bay.address, 0, bay.engine)
        assert len(endpoints) == 200
        assert len(asyncio.all_tasks()) == before
        await endpoints.close()
    assert len(endpoints) == 0
