"""Tokens, retries that are none, circuits, the cloud's own words."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from urllib.parse import unquote

import pytest

from shared.domain.errors import CloudError, InvalidInput
from shared.openstack.circuit import Circuit
from shared.openstack.errors import CircuitOpen, RoleMissing, Rubbish, retry_after, words
from tests.openstack.conftest import MakeCloud
from tests.openstack.wire import Say, Seen, Wire


async def test_first_uses_all_at_once_cost_one_login(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    tokens = await asyncio.gather(*(cloud.auth.token("p1") for _ in range(1000)))
    assert wire.logins == 1
    assert len({one.token for one in tokens}) == 1
    assert "service-token" not in repr(tokens[0])


async def test_a_cancelled_caller_does_not_take_the_login_away_from_others(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    first = asyncio.create_task(cloud.auth.token("p1"))
    second = asyncio.create_task(cloud.auth.token("p1"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).token == "service-token-1"
    assert wire.logins == 1


async def test_a_token_near_its_end_is_renewed(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.token_life = -1  # ends at once: every use needs a new one
    await cloud.auth.token("p1")
    await cloud.auth.token("p1")
    assert wire.logins == 2


async def test_401_renews_once_however_many_calls_met_it(wire: Wire, make_cloud: MakeCloud) -> None:
    def only_the_second(seen: Seen) -> Say:
        return Say(body={"flavors": []}) if seen.headers["x-auth-token"] == "service-token-2" else Say(401)

    cloud = make_cloud(wire.url)
    wire.script = only_the_second
    nova = cloud.for_project("p1").nova
    await asyncio.gather(*(nova.session.get("compute", "/flavors/detail") for _ in range(30)))
    assert wire.logins == 2


async def test_401_for_ever_is_told(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(401, {"error": {"message": "go away"}})
    with pytest.raises(CloudError, match="go away") as caught:
        await cloud.for_project("p1").nova.limits()
    assert caught.value.status == 401
    assert len(wire.calls) == 2


async def test_mutating_calls_are_not_tried_again(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(503, headers={"Retry-After": "7"})
    with pytest.raises(CloudError) as caught:
        await cloud.for_project("p1").nova.delete("s1")
    assert (caught.value.status, caught.value.retryable, caught.value.retry_after) == (503, True, 7.0)
    assert caught.value.resource == "server s1"
    assert len(wire.calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"explanation": "The server could not comply.", "code": 400, "title": "Bad Request",
               "error": {"message": "Property error: no such flavor", "traceback": None, "type": "Invalid"}},
         "Heat answered 400: Property error: no such flavor"),
        (403, {"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}, "Quota exceeded for cores"),
        (409, {"NeutronError": {"type": "NetworkInUse", "message": "Network in use", "detail": ""}}, "Network in use"),
        (404, {"error": {"code": 404, "title": "Not Found", "message": "Could not find it"}}, "Could not find it"),
        (406, {"errors": [{"status": 406, "title": "Not Acceptable", "detail": "no such version"}]}, "no such version"),
        (500, b"<html><head><title>500</title></head><body><h1>Oh dear</h1>It broke</body></html>", "Oh dear It broke"),
        (502, b"\xff\xfe\x00", "502"),
        (500, b"", "no reason given"),
    ],
)  # fmt: skip
async def test_the_clouds_own_words(wire: Wire, make_cloud: MakeCloud, status: int, body: object, said: str) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(status, body)
    with pytest.raises(CloudError) as caught:
        await cloud.for_project("p1").heat.validate("", {}, {})
    assert said in caught.value.message
    assert caught.value.retryable == (status in {409, 500, 502})


async def test_a_list_that_is_not_found_is_not_an_empty_list(wire: Wire, make_cloud: MakeCloud) -> None:
    """It is a proxy's answer, or a wrong endpoint's; only a user's credentials go with the user."""
    cloud = make_cloud(wire.url).for_project("p1")
    wire.script = lambda _: Say(404, b"<html>default backend - 404</html>")
    for listing in (
        cloud.heat.list_project(),
        cloud.nova.servers(),
        cloud.cinder.volumes(),
        cloud.neutron.items("ports"),
    ):
        with pytest.raises(CloudError, match="nothing answers there") as caught:
            await listing
        assert caught.value.retryable
    assert await cloud.keystone.application_credentials("somebody") == []


async def test_a_used_up_quota_of_cinder_is_not_tried_again(wire: Wire, make_cloud: MakeCloud) -> None:
    cinder = make_cloud(wire.url).for_project("p1").cinder
    for seconds, again in (("0", False), ("2", True)):
        answer = Say(413, {"overLimit": {"message": "VolumeLimitExceeded"}}, headers={"Retry-After": seconds})
        wire.script = partial(_always, answer)
        with pytest.raises(CloudError, match="VolumeLimitExceeded") as caught:
            await cinder.types()
        assert caught.value.retryable is again


async def test_a_token_that_the_cloud_echoes_is_blotted_out(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda seen: Say(400, {"error": {"message": f"bad {seen.headers['x-auth-token']}"}})
    with pytest.raises(CloudError, match=r"bad \*\*\*"):
        await cloud.for_project("p1").heat.validate("", {}, {})


def test_words_of_deep_nesting_and_long_pages() -> None:
    assert words(b'{"a": [{"b": {"message": "deep"}}]}') == "deep"
    assert len(words(b"x" * 100_000)) == 600


def test_retry_after_as_a_date() -> None:
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize("body", [b"<html>login here</html>", b"[]", b"", {"limits": {}}, {"limits": {"absolute": 7}}])
async def test_rubbish_is_told_and_may_be_tried_again(wire: Wire, make_cloud: MakeCloud, body: object) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(200, body)
    with pytest.raises(Rubbish, match="makes no sense") as caught:
        await cloud.for_project("p1").nova.limits()
    assert caught.value.retryable


@pytest.mark.parametrize(
    "say",
    [Say(drop=True), Say(503), Say(201, b"not json", {"X-Subject-Token": "t"}), Say(201, {"token": {}}), Say(201)],
    ids=["drop", "503", "not json", "empty token", "no token"],
)
async def test_keystone_in_trouble(wire: Wire, make_cloud: MakeCloud, say: Say) -> None:
    cloud = make_cloud(wire.url)
    wire.login = lambda _: say
    with pytest.raises(CloudError) as caught:
        await cloud.for_project("p1").nova.limits()
    assert caught.value.service == "identity"
    assert caught.value.retryable
    assert "jeroboam" not in str(caught.value)


async def test_keystone_hangs(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, call_limit=0.3)
    await asyncio.to_thread(__import__, "keystoneauth1.session")  # its import must not eat the limit
    wire.login = lambda _: Say(hang=True)
    with pytest.raises(CloudError, match=r"in time|within|no answer") as caught:
        await cloud.for_project("p1").nova.limits()
    assert caught.value.retryable


async def test_a_missing_role_names_the_command(wire: Wire, make_cloud: MakeCloud) -> None:
    def log_in(seen: Seen) -> Say:
        if b'"unscoped"' in seen.body:
            return Say(201, wire.token_body(project=None), {"X-Subject-Token": "unscoped"})
        return Say(401, {"error": {"message": "The request you have made requires authentication."}})

    cloud = make_cloud(wire.url)
    wire.login = log_in
    with pytest.raises(RoleMissing) as caught:
        await cloud.auth.token("p9")
    assert "openstack role add --user jeroboam --user-domain Default --domain" in caught.value.message
    assert "--inherited member" in caught.value.message
    assert not caught.value.retryable


async def test_a_wrong_password_is_not_taken_for_a_missing_role(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, password="s3cr3t-value")
    wire.login = lambda _: Say(401, {"error": {"message": "no"}})
    with pytest.raises(CloudError, match="password") as caught:
        await cloud.auth.token("p9")
    assert not isinstance(caught.value, RoleMissing)
    assert "s3cr3t-value" not in str(caught.value)


async def test_a_service_that_the_catalog_lacks(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    with pytest.raises(CloudError, match="no key-manager endpoint") as caught:
        await cloud.for_project("p1").session.get("key-manager", "/v1/secrets")
    assert not caught.value.retryable


async def test_twenty_failures_open_the_circuit_for_one_service_only(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, probe_every=3600.0)
    ours = cloud.for_project("p1")
    wire.script = lambda seen: Say(500) if "compute" in seen.path else Say(body={"networks": []})
    for _ in range(20):
        with pytest.raises(CloudError):
            await ours.nova.limits()
    with pytest.raises(CircuitOpen) as caught:
        await cloud.for_project("p2").nova.limits()
    assert (caught.value.retryable, caught.value.counts) == (True, False)
    assert len(wire.calls) == 20
    assert await ours.neutron.find_network("x") is None


def test_an_open_circuit_lets_one_probe_through_and_closes_on_success() -> None:
    now = 0.0
    circuit = Circuit("compute", clock=lambda: now)
    for _ in range(20):
        circuit.admit()
        circuit.failed()
    with pytest.raises(CircuitOpen):
        circuit.admit()
    now = 5.0
    circuit.admit()
    with pytest.raises(CircuitOpen):
        circuit.admit()
    circuit.failed()
    now = 10.0
    circuit.admit()
    circuit.succeeded()
    circuit.admit()
    assert not circuit.is_open


async def test_only_so_many_calls_at_once(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, calls_at_once=1, call_limit=0.5)
    wire.script = lambda _: Say(hang=True)
    await cloud.auth.token("p1")
    nova = cloud.for_project("p1").nova
    failed = await asyncio.gather(*(nova.limits() for _ in range(3)), return_exceptions=True)
    assert len(wire.calls) <= 2
    assert all(isinstance(one, CloudError) and one.retryable for one in failed)
    assert any(isinstance(one, CloudError) and not one.counts for one in failed)


async def test_pages_are_followed_by_marker_never_by_host(wire: Wire, make_cloud: MakeCloud) -> None:
    def page(seen: Seen) -> Say:
        if "marker=i1" in seen.target:
            return Say(body={"images": [_image("i2")]})
        return Say(body={"images": [_image("i1")], "next": "http://127.0.0.9:1/v2/images?marker=i1&name=x"})

    def script(seen: Seen) -> Say:
        return page(seen) if seen.path.endswith("/images") else Say(404)

    cloud = make_cloud(wire.url)
    wire.script = script
    found = await cloud.for_project("p1").session.pages("image", "/images", "images", params={"name": "x"})
    assert [one.text("id") for one in found] == ["i1", "i2"]


@pytest.mark.parametrize("ident", ["", ".", "..", "../../os-hosts", "f1/os-extra_specs"])
async def test_a_users_word_cannot_change_the_path(wire: Wire, make_cloud: MakeCloud, ident: str) -> None:
    def script(seen: Seen) -> Say:
        lists = {"/image/v2/images": "images", "/compute/v2.1/flavors/detail": "flavors"}
        return Say(body={lists[seen.path]: []}) if seen.path in lists else Say(body={"surprise": seen.path})

    ours = make_cloud(wire.url).for_project("p1")
    wire.script = script
    assert await ours.glance.find_image(ident) is None
    assert await ours.nova.find_flavor(ident) is None
    assert await ours.nova.keypair(ident) is None
    with pytest.raises(InvalidInput):
        await ours.nova.delete(ident)


async def test_a_users_odd_word_stays_in_its_segment(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    await cloud.for_project("p1").nova.keypair("my key?x=1#y%2e")
    assert unquote(wire.calls[0].target) == "/compute/v2.1/os-keypairs/my key?x=1#y%2e"
    assert wire.calls[0].path == wire.calls[0].target


async def test_no_token_in_the_logs(wire: Wire, make_cloud: MakeCloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud = make_cloud(wire.url, password="s3cr3t-value")
    wire.script = lambda _: Say(500)
    with caplog.at_level(logging.DEBUG), pytest.raises(CloudError):
        await cloud.for_project("p1").nova.limits()
    assert "service-token" not in caplog.text
    assert "s3cr3t-value" not in caplog.text


def _always(answer: Say, _seen: Seen) -> Say:
    return answer


def _image(ident: str) -> dict[str, object]:
    return {"id": ident, "name": "x", "status": "active"}
