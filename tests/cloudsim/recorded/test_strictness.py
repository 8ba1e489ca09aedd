"""The comparison sees what changes: an answer that is tampered with is told apart, in whichever way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typing_extensions import override

from tests.cloudsim.recorded.compare import Bound, differences
from tests.cloudsim.recorded.replay import replay, steps_of

Tamper = Callable[[dict[str, Any]], None]

RECORDED = {
    "network": {
        "id": "<id:1>",
        "name": "rec-net",
        "shared": False,
        "mtu": 1450,
        "created_at": "<time>Z",
        "subnets": ["<id:2>"],
        "links": [{"rel": "self", "href": "<url:network>/v2.0/networks/<id:1>"}],
    }
}
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
BOUND = {"<url:network>": "http://cloud/network"}


def _actual() -> dict[str, Any]:
    links = [{"rel": "self", "href": f"http://cloud/network/v2.0/networks/{ONE}"}]
    facts = {"id": ONE, "name": "rec-net", "shared": False, "mtu": 1450, "subnets": [TWO], "links": links}
    return {"network": facts | {"created_at": "2026-01-02T03:04:05Z"}}


def test_the_same_answer_has_no_differences() -> None:
    bound: Bound = dict(BOUND)
    assert differences(RECORDED, _actual(), bound) == []
    assert bound == BOUND | {"<id:1>": ONE, "<id:2>": TWO}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": "other"}, "is network.name"),
        ({"name": None}, "is network.name"),
        ({"shared": 0}, "is network.shared"),
        ({"shared": True}, "is network.shared"),
        ({"mtu": "1450"}, "is network.mtu"),
        ({"mtu": 1500}, "is network.mtu"),
        ({"id": "not-an-id"}, "is network.id"),
        ({"created_at": "2026-01-02T03:04:05"}, "is network.created_at"),
        ({"created_at": "2026-01-02T03:04:05.000000Z"}, "is network.created_at"),
        ({"subnets": []}, "lacks network.subnets[]"),
        ({"subnets": [TWO, ONE]}, "adds network.subnets[]"),
        ({"subnets": {}}, "is network.subnets"),
        ({"links": [{"rel": "self", "href": f"http://cloud/network/v2.0/networks/{TWO}"}]}, "is network.links[].href"),
        ({"links": [{"rel": "self"}]}, "lacks network.links[].href"),
        ({"extra": None}, "adds network.extra"),
    ],
)
def test_a_changed_answer_is_told_apart(change: dict[str, Any], key: str) -> None:
    actual = _actual()
    actual["network"] |= change
    assert key in {found.key for found in differences(RECORDED, actual, dict(BOUND))}


def test_a_lost_key_is_told_apart() -> None:
    for name in RECORDED["network"]:
        actual = _actual()
        del actual["network"][name]
        assert [found.key for found in differences(RECORDED, actual, dict(BOUND))] == [f"lacks network.{name}"]


class _Tampering(httpx.AsyncBaseTransport):
    """Changes the body of every answer that has some key at its top."""

    def __init__(self, inner: httpx.AsyncBaseTransport, key: str, tamper: Tamper) -> None:
        self.inner, self.key, self.tamper = inner, key, tamper

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        found = json.loads(body) if body else {}
        if self.key not in found:
            return answer
        self.tamper(found)
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return httpx.Response(answer.status_code, headers=headers, content=json.dumps(found))


def _without_description(body: dict[str, Any]) -> None:
    del body["network"]["description"]


def _other_error(body: dict[str, Any]) -> None:
    body["NeutronError"]["type"] = "SomethingElse"


def _one_more(body: dict[str, Any]) -> None:
    body["networks"].append(dict(body["networks"][0]) if body["networks"] else {})


@pytest.mark.parametrize(
    ("key", "tamper", "found"),
    [
        ("network", _without_description, "lacks network.description"),
        ("NeutronError", _other_error, "is NeutronError.type"),
        ("networks", _one_more, "adds networks[]"),
    ],
)
async def test_a_whole_conversation_notices(key: str, tamper: Tamper, found: str) -> None:
    async with replay() as play:
        play.http._transport = _Tampering(play.http._transport, key, tamper)
        outcomes = await play.play(steps_of("network/networks"))
    assert found in {one.key for outcome in outcomes for one in outcome.found}
