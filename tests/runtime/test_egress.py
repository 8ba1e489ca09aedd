"""The egress policy judges the address that is really dialled."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web

from shared.domain.errors import CloudError
from shared.runtime.egress import EgressPolicy, EgressRefused

EVERYWHERE = EgressPolicy()
LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))
NOWHERE_NEAR = EgressPolicy(allow=(ip_network("198.51.100.0/24"),))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
    ],
)
def test_some_addresses_are_never_dialled(address: str) -> None:
    for policy in (EVERYWHERE, EgressPolicy(allow=(ip_network("0.0.0.0/0"), ip_network("::/0")))):
        with pytest.raises(EgressRefused):
            policy.check_address(address)


def test_without_an_allow_list_the_rest_is_free() -> None:
    for address in ("10.0.0.5", "203.0.113.9", "127.0.0.1", "2001:db8::1"):
        EVERYWHERE.check_address(address)


def test_an_allow_list_is_the_whole_of_it() -> None:
    LOOPBACK.check_address("127.64.0.9")
    LOOPBACK.check_address("::ffff:127.0.0.1")
    for address in ("10.0.0.5", "::1"):
        with pytest.raises(EgressRefused):
            LOOPBACK.check_address(address)


def test_the_control_plane_is_denied_even_when_allowed() -> None:
    policy = EgressPolicy(allow=(ip_network("10.0.0.0/8"),), deny=(ip_network("10.9.0.0/16"),))
    policy.check_address("10.8.0.1")
    with pytest.raises(EgressRefused, match="control plane"):
        policy.check_address("10.9.0.1")


def test_a_name_is_judged_by_its_addresses() -> None:
    LOOPBACK.check("127.0.0.1", 80)
    with pytest.raises(EgressRefused):
        NOWHERE_NEAR.check("localhost", 80)
    with pytest.raises(EgressRefused, match="does not resolve"):
        EVERYWHERE.check("no-such-host.invalid", 80)


def test_a_refusal_is_a_cloud_error_that_is_not_tried_again() -> None:
    with pytest.raises(CloudError) as caught:
        LOOPBACK.check_address("10.0.0.5")
    assert caught.value.retryable is False
    assert "JEROBOAM_EGRESS_ALLOW" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_it_holds_inside_a_real_http_client(host: str) -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    url = f"http://{host}:{listener.getsockname()[1]}/"
    try:
        assert await fetch(LOOPBACK if host == "127.0.0.1" else EVERYWHERE, url) == "hello"
        with pytest.raises(EgressRefused):
            await fetch(NOWHERE_NEAR, url)
    finally:
        await runner.cleanup()


async def fetch(policy: EgressPolicy, url: str) -> str:
    connector = aiohttp.TCPConnector(socket_factory=policy.socket_factory, happy_eyeballs_delay=None)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()
