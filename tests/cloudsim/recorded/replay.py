"""Plays a recorded conversation against a simulated cloud, in-process and in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from cloudsim import fixtures
from cloudsim.app import create_app
from cloudsim.clock import Clock
from cloudsim.identity import tokens
from cloudsim.identity.state import Assignment, Project, User
from cloudsim.world import CloudsimSettings, World
from scripts.record_answers.placeholders import PLACEHOLDER, filled
from scripts.record_answers.talk import HEADERS, body_of
from tests.cloudsim.recorded.compare import Bound, Difference, Found, differences, shapes

HERE: Final = Path(__file__).parent
_BASE: Final = "http://cloud"
_PATHS: Final = {
    "identity": "/identity",
    "orchestration": "/orchestration",
    "compute": "/compute",
    "network": "/network",
    "image": "/image",
    "volumev3": "/volume",
    "load-balancer": "/load-balancer",
    "key-manager": "/key-manager",
}
_USERS: Final = {
    "demo": ("rec-demo", "rec-demo", "member"),
    "other": ("rec-other", "rec-other", "member"),
    "reader": ("rec-reader", "rec-demo", "reader"),
}
_PASSWORD: Final = "the password"
_REST: Final = 60.0
_PATIENCE: Final = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went."""

    step: str
    found: Found


@dataclass(slots=True)
class Replay:
    """A simulated cloud and what placeholders stand for in it."""

    world: World
    http: httpx.AsyncClient
    bound: Bound = field(default_factory=dict)

    async def play(self, steps: list[dict[str, Any]]) -> list[Outcome]:
        """Make every request of the conversation; what differs, step by step."""
        outcomes = []
        for number, step in enumerate(steps, 1):
            if "settled" in step:
                await self.world.clock.advance(_REST)
                continue
            title = f"{number}. {step['as']}: {step['method']} {step['service']} {step['path']}"
            try:
                answer = await self._answer(step)
            except KeyError as error:
                outcomes.append(Outcome(title, [Difference("is", "request", f"nothing stands for {error.args[0]}")]))
                continue
            outcomes.append(Outcome(title, self._compare(step, answer)))
        return outcomes

    async def _answer(self, step: dict[str, Any]) -> httpx.Response:
        """The answer, asked for until it is as the recording waited for."""
        answer = await self._send(step)
        for _ in range(_PATIENCE if "until" in step else 0):
            if all(self._is(answer, where, value) for where, value in step["until"].items()):
                break
            await self.world.clock.advance(1)
            answer = await self._send(step)
        return answer

    async def _send(self, step: dict[str, Any]) -> httpx.Response:
        for who in _USERS | {"admin": ()}:
            self.bound[f"<token:{who}>"] = self._token(who)
        headers = {"Accept": "application/json"} | {
            n: str(filled(v, self.bound)) for n, v in step.get("headers", {}).items()
        }
        who = step["as"]
        if who != "nobody":
            headers["X-Auth-Token"] = self.bound.get(f"<token:{who}>") or str(filled(who, self.bound))
        body = step.get("request")
        content = None if body is None else body if isinstance(body, str) else json.dumps(filled(body, self.bound))
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = _PATHS[step["service"]] + str(filled(step["path"], self.bound))
        return await self.http.request(step["method"], url, content=content, headers=headers)

    def _is(self, answer: httpx.Response, where: str, value: Any) -> bool:
        if where == "status":
            return bool(answer.status_code == value)
        found = body_of(answer)
        for part in where.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return bool(found == value)

    def _compare(self, step: dict[str, Any], answer: httpx.Response) -> Found:
        if step["status"] != answer.status_code:
            note = f"{step['status']} in the recording, {answer.status_code} here: {answer.text[:300]}"
            return [Difference("is", "status", note)]
        here = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
        body = body_of(answer)
        if "content-type" in answer.headers and body is not None:
            here["content-type"] = answer.headers["content-type"].split(";")[0]
        found = differences(step["answer_headers"], here, self.bound, "headers")
        recorded, sampled = step.get("answer"), Found()
        if "/preview" in step["path"] and answer.status_code == 200:
            recorded, body = _servers_changed(recorded), _servers_changed(body)
        for where in step.get("sample", ()):
            recorded, body, more = _take(recorded, body, where)
            sampled += more
        return found + sampled + differences(recorded, body, self.bound)

    def _token(self, who: str) -> str:
        user, project, _ = _USERS.get(who, ("admin", "admin", ""))
        password = _PASSWORD if who in _USERS else "admin"
        named = {"name": user, "domain": {"name": "Default"}, "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": named}}}
        scope = {"project": {"name": project, "domain": {"name": "Default"}}}
        return tokens.authenticate(self.world.identity, auth | {"scope": scope}).id


@asynccontextmanager
async def replay() -> AsyncIterator[Replay]:
    """A fresh cloud with the recorder's projects and users."""
    world = World(CloudsimSettings(speed=0), Clock(0))
    transport = httpx.ASGITransport(create_app(world))
    async with httpx.AsyncClient(transport=transport, base_url=_BASE) as http:
        found = Replay(world, http)
        _people(found)
        _things(found)
        # Nobody but the conversation signals, as in the recorder's cloud, whose servers run nothing.
        silent = {"effect": "never_signal"}
        (await http.post("/control/heat/behaviours", json=silent)).raise_for_status()
        yield found


def conversations() -> list[str]:
    """The recordings, as "service/name"."""
    return sorted(f"{file.parent.name}/{file.stem}" for file in HERE.glob("*/*.json"))


def steps_of(conversation: str) -> list[dict[str, Any]]:
    """The steps of a recording."""
    found: list[dict[str, Any]] = json.loads((HERE / f"{conversation}.json").read_text())["steps"]
    return found


def _people(play: Replay) -> None:
    identity, bound = play.world.identity, play.bound
    for name in ("rec-demo", "rec-other"):
        identity.projects[fixtures.project_id(name)] = Project(fixtures.project_id(name), name)
        bound[f"<project:{name.removeprefix('rec-')}>"] = fixtures.project_id(name)
    for who, (name, project, role) in _USERS.items():
        identity.users[fixtures.user_id(name)] = User(fixtures.user_id(name), name, _PASSWORD)
        identity.assignments.add(Assignment(fixtures.user_id(name), role, project_id=fixtures.project_id(project)))
        bound[f"<user:{who}>"] = fixtures.user_id(name)
    bound |= {"<project:admin>": fixtures.project_id("admin"), "<user:admin>": fixtures.user_id("admin")}
    bound |= {f"<role:{name}>": role for name, role in identity.roles.items()}
    bound["<password>"] = _PASSWORD
    bound |= {f"<url:{service}>": _BASE + path for service, path in _PATHS.items()}
    bound |= {f"<netloc:{service}>": _BASE.removeprefix("http://") for service in _PATHS}


def _things(play: Replay) -> None:
    """What the recorder's cloud has: a shared public network, a small flavor that is smaller."""
    store = play.world.store
    for network in store.list("network"):
        store.update(network, shared=True, mtu=1500)
    for flavor in store.find("flavor", name="m1.small"):
        store.update(flavor, disk=10)
    for kind in ("flavor", "image", "network", "subnet"):
        play.bound |= {f"<{kind}:{one.get('name')}>": one.id for one in store.list(kind)}


def _servers_changed(preview: Any) -> Any:
    """What our code reads of a preview: servers that would come, go or be replaced. Heat over-reports other kinds."""
    read = ("resource_name", "resource_type", "physical_resource_id")
    changes = preview["resource_changes"]
    return {
        kind: [
            {name: one[name] for name in read} for one in changes[kind] if one["resource_type"] == "OS::Nova::Server"
        ]
        for kind in ("added", "deleted", "replaced")
    }


def _take(recorded: Any, actual: Any, where: str) -> tuple[Any, Any, Found]:
    """Both without the list at `where`, of which the installation has its own, and how that differs in shape."""
    name, _, rest = where.partition(".")
    if (
        not isinstance(recorded, Mapping)
        or not isinstance(actual, Mapping)
        or name not in recorded
        or name not in actual
    ):
        return recorded, actual, []
    if rest:
        inner, ours, found = _take(recorded[name], actual[name], rest)
        return {**recorded, name: inner}, {**actual, name: ours}, found
    found = shapes(recorded[name], actual[name], name) if actual[name] else [Difference("lacks", f"{name}[]")]
    return {**recorded, name: []}, {**actual, name: []}, found


__all__ = ["PLACEHOLDER", "Outcome", "Replay", "conversations", "replay", "steps_of"]
