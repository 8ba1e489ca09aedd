"""Making a call and reading what comes back, as far as the tables speak of it."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx

from tests.api.fidelity.fields import VIEWS
from tests.api.fidelity.model import FIRST, LAST, Answer, Call, Seen, is_like
from tests.api.fidelity.world import World
from tests.api.harness import VERSION

WORD: Final = "container-infrastructure-management"
_RANGE: Final = {
    "OpenStack-API-Minimum-Version": f"{WORD} 1.{FIRST}",
    "OpenStack-API-Maximum-Version": f"{WORD} 1.{LAST}",
    "Vary": VERSION,
}
OWN: Final = ("template", "cluster", "failed", "limited", "published")
"""Values of the world by which an item of a list is known to be ours."""


def ask(world: World, call: Call, version: int | None, *, many: str = "") -> Seen:
    """Make the call at that microversion; None sends no header. Of a list, the first item that is ours is read."""
    with world.prepared(call.given):
        answer = _send(world, call, version)
    _check_headers(call, answer, version)
    body = _json(answer)
    if isinstance(body, dict) and "errors" in body:
        return Seen(answer.status_code, None, _text(call, body), answer.headers.get("Location"))
    if isinstance(body, dict) and "error" in body:
        return Seen(answer.status_code, None, body["error"]["message"], None)
    if many and isinstance(body, dict):
        assert set(body) == {many}, f"{call.request}: {sorted(body)}"
        body = _mine(world, body[many])
    keys = frozenset(body) if isinstance(body, dict) else None
    return Seen(answer.status_code, keys, "", answer.headers.get("Location"))


def problems(answer: Answer, seen: Seen, keys: frozenset[str] | None) -> list[str]:
    """Where what was seen is not that answer; `keys` are those that its body should have."""
    found = []
    if seen.status != answer.status:
        found.append(f"status {seen.status}, not {answer.status}: {seen.text}")
    if answer.text is not None and not is_like(answer.text, seen.text):
        found.append(f"text {seen.text!r}, not {answer.text!r}")
    if keys is not None and seen.keys != keys:
        found.append(f"keys that differ: {sorted((seen.keys or frozenset()) ^ keys)}")
    if (seen.location is not None) != answer.location:
        found.append("Location is there" if seen.location else "no Location")
    return found


def magnums(answer: Answer, version: int) -> frozenset[str] | None:
    """The keys that Magnum's body has."""
    return VIEWS[answer.view].magnum(version) if answer.view else None


def ours(answer: Answer, version: int) -> frozenset[str] | None:
    """The keys that our body has."""
    return VIEWS[answer.view].ours(version) if answer.view else None


def _send(world: World, call: Call, version: int | None) -> httpx.Response:
    system, path = world.system, world.filled(call.path)
    minor = None if version is None else str(version)
    if path.endswith("/events"):  # an answer without an end: its head will do
        headers = {"X-Auth-Token": system.token("demo"), VERSION: f"container-infra 1.{version or 1}"}
        with httpx.stream("GET", system.api_url + path, headers=headers, timeout=20) as stream:
            return httpx.Response(stream.status_code, headers=dict(stream.headers))
    if VERSION in call.headers:
        minor = None
    body = world.filled(call.body)
    return system.call(call.method, path, body, user=call.user, headers=call.headers, raw=call.raw, version=minor)


def _check_headers(call: Call, answer: httpx.Response, version: int | None) -> None:
    """Every answer below /v1 has the microversion and its range; the root has neither, and strangers are not told."""
    assert answer.headers["X-OpenStack-Request-ID"].startswith("req-")
    told = {name: answer.headers.get(name) for name in (VERSION, *_RANGE)}
    if not call.path.startswith("/v1"):
        assert told[VERSION] is None, f"{call.request}: {told}"
    elif answer.status_code != 401:
        wanted = {VERSION: told[VERSION] if VERSION in call.headers else f"{WORD} 1.{version or 1}", **_RANGE}
        assert told == wanted, f"{call.request}: headers {told}, not {wanted}"


def _json(answer: httpx.Response) -> Any:
    kind = answer.headers.get("Content-Type", "")
    return json.loads(answer.content) if answer.content and kind.startswith("application/json") else None


def _text(call: Call, body: dict[str, Any]) -> str:
    """The detail, in a body of Magnum's shape; that of an unsupported microversion says it elsewhere."""
    if call.method == "HEAD":
        return ""
    (error,) = body["errors"]
    if error["code"] == "magnum.microversion-unsupported":
        assert set(error) == {"code", "title", "description", "min_version", "max_version", "links"}
        return str(error["description"])
    assert set(error) == {"request_id", "code", "status", "title", "detail", "links"}
    assert (error["request_id"], error["links"]) == ("", [])
    detail = str(error["detail"])
    assert error["title"] == (
        detail.partition(".")[0] or {404: "Not Found", 405: "Method Not Allowed"}[error["status"]]
    )
    routers = error["status"] in (405, 406) or not detail
    assert error["code"] == ("" if routers else "server" if error["status"] >= 500 else "client")
    return detail


def _mine(world: World, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The first item that is ours by its uuid or project, else the first."""
    known = {world.values[name] for name in OWN}
    return next((one for one in items if known & {one.get("uuid"), one.get("project_id")}), items[0])
