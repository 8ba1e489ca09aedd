"""Every call that our thin clients can make is in some recorded conversation."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import httpx

from shared.domain.errors import JeroboamError
from shared.openstack.catalog import Endpoints
from shared.openstack.circuit import Gates
from shared.openstack.cloud import ProjectCloud
from shared.openstack.heat import HeatClient, StackNames
from shared.openstack.session import CloudSession
from shared.openstack.tokens import ScopedToken
from shared.openstack.transport import Answer, Transport
from tests.cloudsim.recorded.replay import conversations, steps_of

Call = tuple[str, str, str]
"""Service, method, path."""

ARGUMENT: Final = "argument"
ENDPOINTS: Final = {
    "identity": "/v3",
    "orchestration": "/v1/project",
    "compute": "/v2.1",
    "network": "/v2.0",
    "image": "/v2",
    "volumev3": "/v3/project",
    "load-balancer": "",
    "key-manager": "/v1",
}
BESIDE: Final = {("identity", "POST", "/v3/auth/tokens"), ("identity", "GET", "/v3/auth/tokens")}
"""What is called without a thin client: the login of `auth`, the question of `validate`."""
ANSWERS: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    (404, {}),
    (403, {}),
    (302, {}),
    (200, {"quota": {"loadbalancer": 5, "listener": 5, "pool": 5, "healthmonitor": 5}}),
)
"""Enough to make every client go every way that it has."""


class _Ears:
    """A transport that hears every call and gives one answer; a source of tokens too."""

    call_limit = 1.0

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        self.status, self.body, self.heard = status, json.dumps(body).encode(), set[Call]()

    async def send(self, service: str, method: str, url: str, **_: object) -> Answer:
        self.heard.add((service, method, urlsplit(url).path))
        return Answer(self.status, httpx.Headers(), self.body)

    async def token(self) -> ScopedToken:
        urls = {service: f"http://{service}{path}" for service, path in ENDPOINTS.items()}
        return ScopedToken("t", 1e12, Endpoints(urls), "project", "user")

    def invalidate(self, refused: str) -> bool:
        return False


async def test_every_call_of_the_thin_clients_is_recorded() -> None:
    recorded = {
        (step["service"], step["method"], urlsplit(step["path"]).path)
        for conversation in conversations()
        for step in steps_of(conversation)
        if "path" in step
    }
    made = BESIDE | {call for client in _clients() for call in await _heard(client)}
    assert len(made) > 40
    assert sorted(call for call in made if not any(_is(call, one) for one in recorded)) == []


def _is(call: Call, recorded: Call) -> bool:
    path = re.sub(rf"(?<=/)(?:{ARGUMENT}|project)(?=/|$)", "[^/]+", re.escape(call[2]))
    return call[:2] == recorded[:2] and re.fullmatch(path, recorded[2]) is not None


def _clients() -> Iterator[type[Any]]:
    hints = get_type_hints(ProjectCloud)
    return (hints[one.name] for one in fields(ProjectCloud) if one.name != "session")


async def _heard(client: type[Any]) -> set[Call]:
    """The calls of all of a client's methods, with every answer."""
    found = set[Call]()
    for (status, body), known in itertools.product(ANSWERS, (True, False)):
        ears = _Ears(status, body)
        session = CloudSession(cast("Transport", ears), ears, Gates(at_once=1))
        names = StackNames()
        if known:
            names.learn(ARGUMENT, ARGUMENT)
        made = client(session, names) if client is HeatClient else client(session)
        for name, method in vars(client).items():
            if inspect.iscoroutinefunction(method) and not name.startswith("_"):
                await _try(getattr(made, name))
        found |= ears.heard
    return found


async def _try(method: Any) -> None:
    """Call it with something for each argument, and once for every choice that an argument has."""
    hints = get_type_hints(method)
    needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
    needed = [one for one in needed if one.kind is not one.VAR_KEYWORD]
    choices = [get_args(hints[one.name]) if get_origin(hints[one.name]) is Literal else (None,) for one in needed]
    for chosen in itertools.product(*choices):
        given = {
            one.name: _value(hints[one.name]) if some is None else some
            for one, some in zip(needed, chosen, strict=True)
        }
        try:
            await method(**given)
        except JeroboamError:
            continue  # what it heard is no answer that it could use; what it said is what counts


def _value(hint: Any) -> Any:
    if hint is str:
        return ARGUMENT
    if hint is bytes:
        return b""
    return {} if get_origin(hint) in {dict, Mapping} else []
