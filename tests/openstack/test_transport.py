"""The promises of the transport, kept against a server that breaks its own."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.domain.errors import CloudError
from shared.openstack.errors import Rubbish
from shared.openstack.transport import Transport
from shared.runtime.egress import EgressPolicy, EgressRefused
from tests.openstack.conftest import LOOPBACK
from tests.openstack.wire import Say, Wire


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
async def test_a_mutating_call_whose_answer_is_lost_was_sent_once(wire: Wire, method: str) -> None:
    transport = Transport(LOOPBACK)
    wire.script = lambda seen: Say(drop=seen.path == "/lost")
    # A kept-alive connection first: that is where libraries send again.
    await transport.send("compute", "GET", f"{wire.url}/warm", headers={})
    with pytest.raises(CloudError, match="dropped") as caught:
        await transport.send("compute", method, f"{wire.url}/lost", headers={}, json={})
    await transport.close()
    assert [seen.path for seen in wire.seen] == ["/warm", "/lost"]
    assert caught.value.retryable
    assert caught.value.status is None


async def test_hang_ends_at_the_limit(wire: Wire) -> None:
    transport = Transport(LOOPBACK, call_limit=0.2)
    wire.script = lambda _: Say(hang=True)
    with pytest.raises(CloudError, match=r"no answer within 0\.2 s"):
        await transport.send("compute", "GET", f"{wire.url}/", headers={})
    await transport.close()


async def test_a_body_cut_short_is_no_answer(wire: Wire) -> None:
    transport = Transport(LOOPBACK)
    wire.script = lambda _: Say(cut=True)
    with pytest.raises(CloudError, match="before the whole answer"):
        await transport.send("compute", "GET", f"{wire.url}/", headers={})
    await transport.close()


async def test_not_even_http(wire: Wire) -> None:
    async def shout(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport(LOOPBACK)
    with pytest.raises(CloudError) as caught:
        await transport.send("compute", "GET", f"http://127.0.0.1:{port}/", headers={"X-Auth-Token": "hush"})
    await transport.close()
    server.close()
    assert caught.value.retryable
    assert "hush" not in str(caught.value)


async def test_nobody_listens(wire: Wire) -> None:
    port = wire.port
    await wire.stop()
    transport = Transport(LOOPBACK)
    with pytest.raises(CloudError, match=f"cannot connect to 127.0.0.1:{port}"):
        await transport.send("compute", "GET", f"http://127.0.0.1:{port}/", headers={})
    await transport.close()
    await wire.start()


async def test_a_redirect_is_an_answer_not_an_order(wire: Wire) -> None:
    transport = Transport(LOOPBACK)
    wire.script = lambda _: Say(302, headers={"Location": "http://127.0.0.2:1/elsewhere"})
    answer = await transport.send("compute", "GET", f"{wire.url}/", headers={})
    await transport.close()
    assert answer.status == 302
    assert len(wire.seen) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_egress_judges_the_address(wire: Wire, host: str) -> None:
    transport = Transport(EgressPolicy(allow=(ip_network("10.0.0.0/8"),)))
    for method in ("GET", "POST"):
        with pytest.raises(EgressRefused):
            await transport.send("compute", method, f"http://{host}:{wire.port}/", headers={})
    await transport.close()
    assert wire.seen == []


async def test_an_endless_answer_is_rubbish(wire: Wire) -> None:
    transport = Transport(LOOPBACK)
    wire.script = lambda _: Say(body=b"[" * (65 * 1024 * 1024))
    with pytest.raises(Rubbish, match="more than"):
        await transport.send("compute", "GET", f"{wire.url}/", headers={})
    await transport.close()


async def test_words_of_users_arrive_as_they_are(wire: Wire) -> None:
    transport = Transport(LOOPBACK)
    wire.script = lambda _: Say()
    name = "a b+c&d=e/ü%2F"
    await transport.send("image", "GET", f"{wire.url}/images", headers={}, params={"name": name})
    await transport.close()
    assert parse_qs(urlsplit(wire.seen[0].target).query) == {"name": [name]}
