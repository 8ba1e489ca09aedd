"""The way into bays, against servers that do it right and servers that do everything else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from cloudsim.coe import Identity
from cloudsim.coe.tls import context as server_context
from shared.coe.connect import LARGEST, Channel, ClientCertificate, Dialer, tls
from shared.coe.errors import NotLetIn, Rubbish
from shared.domain.errors import CloudError
from shared.runtime.egress import EgressPolicy, EgressRefused
from tests.coe.misfits import Act, dribbles, floods, hangs, misfit, picky, says
from tests.coe.pki import Authority, client, server

LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))
OURS = Authority("ours")
WELL = says(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"well":true}')


@asynccontextmanager
async def channel(url: str, context: ssl.SSLContext | None = None, *, seconds: float = 5.0) -> AsyncIterator[Channel]:
    found = Dialer(LOOPBACK, seconds).channel("docker", url, context)
    try:
        yield found
    finally:
        await found.close()


async def failure(act: Act, **how: Any) -> CloudError:
    """What a GET of that server ends with."""
    async with misfit(act) as url, channel(url, **how) as called:
        with pytest.raises(CloudError) as caught:
            await called.get("/info")
    assert caught.value.service == "docker"
    assert not called.not_let_in
    return caught.value


async def secured(identity: Identity, context: ssl.SSLContext) -> object:
    """What a GET of a server of that identity brings."""
    async with misfit(WELL, server_context(identity, must=True)) as url, channel(url, context) as called:
        return await called.get("/info")


async def test_json_comes_over_tls_with_our_certificate() -> None:
    assert await secured(server(OURS), tls(OURS.pem, client(OURS))) == {"well": True}


async def test_json_comes_without_tls_where_a_bay_has_none() -> None:
    async with misfit(WELL) as url, channel(url) as called:
        assert await called.get("/info", {"all": "1"}) == {"well": True}


async def test_during_a_rotation_both_authorities_are_trusted() -> None:
    new = Authority("ours")
    context = tls(f"{OURS.pem}\n{new.pem}", client(OURS))
    shown = server(new)
    both = Identity(shown.certificate, shown.key, f"{OURS.pem}\n{new.pem}")

    assert await secured(both, context) == {"well": True}
    assert await secured(server(OURS), context) == {"well": True}


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        pytest.param(server(Authority("other")), "not one of this bay", id="another bay's"),
        pytest.param(server(OURS, "127.0.0.2"), "IP address mismatch", id="another address"),
        pytest.param(server(OURS, days=-1), "expired", id="expired"),
    ],
)
async def test_a_servers_wrong_certificate_is_not_talked_to(identity: Identity, words: str) -> None:
    with pytest.raises(CloudError, match=words) as caught:
        await secured(identity, tls(OURS.pem, client(OURS)))

    assert caught.value.retryable
    assert not isinstance(caught.value, NotLetIn)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(client(Authority("other")), id="another bay's"),
        pytest.param(client(OURS, days=-1), id="expired"),
        pytest.param(None, id="none"),
    ],
)
async def test_a_server_that_does_not_take_our_certificate_is_told_apart(shown: ClientCertificate | None) -> None:
    async with picky(server_context(server(OURS), must=True)) as url, channel(url, tls(OURS.pem, shown)) as called:
        with pytest.raises(NotLetIn, match="alert") as caught:
            await called.get("/info")
        assert called.not_let_in
    assert caught.value.retryable


async def test_a_server_that_drops_us_after_the_handshake_may_have_refused_our_certificate() -> None:
    async with misfit(WELL, server_context(server(OURS), must=True)) as url, channel(url, tls(OURS.pem)) as called:
        with pytest.raises(CloudError, match="dropped") as caught:
            await called.get("/info")
        assert called.not_let_in
    assert caught.value.retryable


async def test_a_server_that_says_who_are_you_is_told_apart() -> None:
    async with misfit(says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")) as url, channel(url) as called:
        with pytest.raises(NotLetIn):
            await called.get("/info")
        assert called.not_let_in


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(hangs, id="hangs"),
        pytest.param(dribbles(b"HTTP/1.1 200 OK\r\nX: "), id="dribbles its head"),
        pytest.param(dribbles(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"), id="dribbles its body"),
    ],
)
async def test_a_call_has_an_end(act: Act) -> None:
    error = await failure(act, seconds=0.3)

    assert error.retryable
    assert "no whole answer within 0.3 s" in error.message


async def test_a_handshake_that_never_ends_has_one_too() -> None:
    async with misfit(hangs) as url, channel(url.replace("http:", "https:"), tls(OURS.pem), seconds=0.3) as called:
        with pytest.raises(CloudError, match="no whole answer"):
            await called.get("/info")


@pytest.mark.parametrize(
    ("act", "words"),
    [
        pytest.param(floods, f"more than {LARGEST} bytes", id="a body without end"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"), f"more than {LARGEST} bytes", id="100 MB"
        ),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "5 bytes that are not JSON", id="text"
        ),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n"), "it is not HTTP", id="ssh"),
        pytest.param(
            says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            "status 302",
            id="elsewhere",
        ),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"),
            "not JSON",
            id="packed, unasked",
        ),
    ],
)
async def test_nonsense_is_told_without_its_words(act: Act, words: str) -> None:
    error = await failure(act)

    assert isinstance(error, Rubbish)
    assert error.retryable
    assert words in error.message
    assert "hello" not in error.message


async def test_a_connection_that_drops_is_no_answer() -> None:
    error = await failure(says(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"half"'))

    assert error.retryable
    assert "dropped" in error.message


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (403, False), (404, False), (409, True), (429, True), (500, True), (503, True)]
)
async def test_an_apis_no_is_final_and_its_trouble_is_not(status: int, again: bool) -> None:
    body = b'{"message": "not\\u0007 for\\n you"}'
    head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    error = await failure(says(head, body))

    assert (error.status, error.retryable) == (status, again)
    assert error.message == f"The bay's Docker answered {status}: no reason given"
    async with (
        misfit(says(head, body), server_context(server(OURS), must=True)) as url,
        channel(url, tls(OURS.pem, client(OURS))) as it,
    ):
        with pytest.raises(CloudError) as caught:
            await it.get("/info")
    assert caught.value.message == f"The bay's Docker answered {status}: not for you"


@pytest.mark.parametrize(
    "body",
    [b"the password is x", b'"the password is x"', b'["the password is x"]', b'{"message": "the password is x"}'],
)
async def test_text_is_quoted_only_of_a_server_that_has_proven_itself(body: bytes) -> None:
    """Without TLS it may be anybody's, at an address that the bay's owner has chosen."""
    act = says(f"HTTP/1.1 400 No\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body)
    assert (await failure(act)).message == "The bay's Docker answered 400: no reason given"
    async with (
        misfit(act, server_context(server(OURS), must=True)) as url,
        channel(url, tls(OURS.pem, client(OURS))) as it,
    ):
        with pytest.raises(CloudError, match=r"answered 400: (the password is x|no reason given)$") as caught:
            await it.get("/info")
    assert ("password" in caught.value.message) == (not body.startswith(b"["))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_changing_call_is_sent_once_even_when_a_kept_connection_drops(method: str) -> None:
    asked: list[bytes] = []

    async def once_then_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with misfit(once_then_drop) as url, channel(url) as called:
        await called.get("/info")
        with pytest.raises(CloudError, match="dropped"):
            await called.call(method, "/nodes/x")
    assert len(asked) == 1


async def test_where_the_policy_forbids_nothing_is_dialled() -> None:
    async with misfit(WELL) as url:
        called = Dialer(EgressPolicy(deny=(ip_network("127.0.0.0/8"),))).channel("docker", url)
        with pytest.raises(EgressRefused):
            await called.get("/info")
        await called.close()


async def test_nobody_listens() -> None:
    async with misfit(WELL) as url:
        gone = url
    async with channel(gone) as called:
        with pytest.raises(CloudError, match="cannot connect to 127") as caught:
            await called.get("/info")
    assert caught.value.retryable


def test_a_key_leaves_nothing_behind_and_is_in_no_repr() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    ours = client(OURS)
    tls(OURS.pem, ours)

    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert "PRIVATE" not in repr(ours)


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    one, other = client(OURS), client(OURS)
    with pytest.raises(ValueError, match="cannot be used"):
        tls(OURS.pem, ClientCertificate(one.certificate, other.key))
