"""Validation of callers' tokens: 404 is theirs, everything else is ours."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain.errors import Unauthorized, Unavailable
from tests.openstack.conftest import MakeCloud
from tests.openstack.wire import Say, Seen, Wire

RULES = [
    {"service": "container-infra", "method": "GET", "path": "/v1/clusters/{id}"},
    {"service": "container-infra", "method": "POST", "path": "/v1/bays/**"},
    {"service": "compute", "method": "DELETE", "path": "/v1/clusters"},
]


def asks(wire: Wire) -> list[Seen]:
    return [seen for seen in wire.calls if seen.path == "/v3/auth/tokens"]


async def test_a_thousand_first_uses_ask_once(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(body=wire.token_body())
    callers = await asyncio.gather(
        *(cloud.validator.validate("t1", method="GET", path="/v1/bays") for _ in range(1000))
    )
    assert {one.user_name for one in callers} == {"demo"}
    assert len(asks(wire)) == 1
    assert asks(wire)[0].headers["x-subject-token"] == "t1"
    assert asks(wire)[0].headers["openstack-identity-access-rules"] == "1.0"
    assert callers[0].endpoints.url("image") == f"{wire.url}/image/v2"
    assert not callers[0].is_admin


@pytest.mark.parametrize("token", [None, "", "  ", "a\nb", "tökén", "x" * 20_000])
async def test_what_cannot_be_a_token_never_reaches_keystone(
    wire: Wire, make_cloud: MakeCloud, token: str | None
) -> None:
    cloud = make_cloud(wire.url)
    with pytest.raises(Unauthorized):
        await cloud.validator.validate(token, method="GET", path="/")
    assert wire.seen == []


async def test_unknown_is_remembered_for_a_moment(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await cloud.validator.validate("t1", method="GET", path="/")
    assert len(asks(wire)) == 1


@pytest.mark.parametrize(
    "say",
    [Say(500), Say(403), Say(400), Say(429), Say(drop=True), Say(200, b"<html>"), Say(200, {"token": {"project": 1}})],
    ids=["500", "403", "400", "429", "drop", "page", "odd"],
)
async def test_trouble_is_ours_and_not_remembered(wire: Wire, make_cloud: MakeCloud, say: Say) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: say
    with pytest.raises(Unavailable) as caught:
        await cloud.validator.validate("t1", method="GET", path="/")
    assert caught.value.retry_after >= 1
    wire.script = lambda _: Say(body=wire.token_body())
    assert (await cloud.validator.validate("t1", method="GET", path="/")).project_id == "p1"


async def test_our_own_token_refused_is_renewed_once(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda seen: (
        Say(body=wire.token_body()) if seen.headers["x-auth-token"] == "service-token-2" else Say(401)
    )
    assert (await cloud.validator.validate("t1", method="GET", path="/")).user_id == "u1"
    wire.script = lambda _: Say(401)
    with pytest.raises(Unavailable):
        await cloud.validator.validate("t2", method="GET", path="/")


async def test_a_hanging_keystone_is_503(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, call_limit=1.0)
    await cloud.auth.token(None)
    wire.script = lambda _: Say(hang=True)
    with pytest.raises(Unavailable):
        await cloud.validator.validate("t1", method="GET", path="/")


async def test_a_token_without_a_project_is_no_use(wire: Wire, make_cloud: MakeCloud) -> None:
    body = wire.token_body()
    assert isinstance(body["token"], dict)
    del body["token"]["project"]
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(body=body)
    with pytest.raises(Unauthorized):
        await cloud.validator.validate("t1", method="GET", path="/")


async def test_an_expired_answer_is_refused(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    await cloud.auth.token(None)
    wire.token_life = -5
    body = wire.token_body()
    wire.script = lambda _: Say(body=body)
    with pytest.raises(Unauthorized):
        await cloud.validator.validate("t1", method="GET", path="/")


async def test_a_service_token_lets_an_expired_one_pass(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    await cloud.auth.token(None)
    service = wire.token_body(roles=[{"id": "s", "name": "service"}])
    wire.token_life = -5
    expired = wire.token_body()

    def script(seen: Seen) -> Say:
        if seen.headers["x-subject-token"] == "svc":
            return Say(body=service)
        return Say(body=expired) if "allow_expired=1" in seen.target else Say(404)

    wire.script = script
    found = await cloud.validator.validate("old", service_token="svc", method="GET", path="/")
    assert found.user_id == "u1"
    with pytest.raises(Unauthorized):
        await cloud.validator.validate("old", method="GET", path="/")


async def test_a_service_token_without_the_role_is_refused(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(body=wire.token_body())
    with pytest.raises(Unauthorized, match="service role"):
        await cloud.validator.validate("t1", service_token="member", method="GET", path="/")


@pytest.mark.parametrize(
    ("method", "path", "ok"),
    [
        ("GET", "/v1/clusters/abc", True),
        ("GET", "/v1/clusters/abc/config", False),
        ("GET", "/v1/clusters", False),
        ("POST", "/v1/bays/a/b", True),
        ("PUT", "/v1/bays/a", False),
        ("DELETE", "/v1/clusters", False),
    ],
)
async def test_access_rules(wire: Wire, make_cloud: MakeCloud, method: str, path: str, ok: bool) -> None:
    cloud = make_cloud(wire.url)
    catalog = [
        {
            "type": "container-infra",
            "endpoints": [{"interface": "public", "region_id": "RegionOne", "url": f"{wire.url}/v1"}],
        }
    ]
    body = wire.token_body(application_credential={"id": "ac", "name": "n", "access_rules": RULES}, catalog=catalog)
    wire.script = lambda _: Say(body=body)
    if ok:
        found = await cloud.validator.validate("t1", method=method, path=path)
        assert found.app_cred_id == "ac"
        assert found.is_delegated
    else:
        with pytest.raises(Unauthorized, match="access rules"):
            await cloud.validator.validate("t1", method=method, path=path)


async def test_rules_allow_nothing_where_the_catalog_does_not_know_us(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(body=wire.token_body(application_credential={"id": "ac", "access_rules": RULES}))
    with pytest.raises(Unauthorized, match="catalog"):
        await cloud.validator.validate("t1", method="POST", path="/v1/bays/x")


async def test_the_cache_is_bounded(wire: Wire, make_cloud: MakeCloud) -> None:
    from shared.openstack.validate import TokenValidator

    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(body=wire.token_body())
    session = cloud.for_project("p1").session
    small = TokenValidator(session, keystone_url=f"{wire.url}/v3", region="RegionOne", size=2)
    for token in ("a", "b", "c", "b", "c", "a"):
        await small.validate(token, method="GET", path="/")
    assert [seen.headers["x-subject-token"] for seen in asks(wire)] == ["a", "b", "c", "a"]
