"""One conversation with a real cloud: every request that is made is written down with its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from scripts.record_answers.cloud import RealCloud
from scripts.record_answers.placeholders import Replacer

HEADERS: Final = ("location", "retry-after", "www-authenticate", "openstack-api-version", "x-subject-token")
"""Headers of answers that are kept; of the content type, the media type."""
_PATIENCE: Final = 300.0
_PAUSE: Final = 0.5

Json = Any


@dataclass(slots=True)
class Answer:
    """What a service said."""

    status: int
    headers: httpx.Headers
    body: Json


@dataclass(slots=True)
class Talk:
    """A conversation about one service, unless a call names another. Paths have the version in them."""

    cloud: RealCloud
    service: str
    steps: list[dict[str, Json]] = field(default_factory=list)
    _replacer: Replacer = field(init=False)
    _undo: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._replacer = Replacer(self.cloud.known)

    def project(self, name: str = "demo") -> str:
        """The id of a project."""
        return self.named(f"<project:{name}>")

    def named(self, label: str) -> str:
        """The value behind a placeholder that every conversation knows."""
        return next(value for value, found in self.cloud.known.items() if found == label)

    def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        who: str = "demo",
        service: str = "",
        headers: Mapping[str, str] | None = None,
        until: Mapping[str, Json] | None = None,
        sample: tuple[str, ...] = (),
    ) -> Answer:
        """Ask and write it down.

        Args:
            who: one of the users, "nobody", or a token that an earlier answer gave.
            until: ask again until these (dotted paths in the body, or "status") are so; only the last is written down.
            sample: lists of the answer of which installations have different entries; one entry is kept.
        """
        service = service or self.service
        url = self.cloud.url(service, path)
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self._send(method, url, body, who, headers)
            if until is None or all(found_at(answer, where) == value for where, value in until.items()):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{method} {path}: still {answer.status} {answer.body}, not {until}")
            time.sleep(_PAUSE)
        self._write(method, url, service, body, who, headers, answer, until, sample)
        return answer

    def settled(self) -> None:
        """Write down that the cloud had come to rest here: nothing more would happen by itself for a while."""
        self.steps.append({"settled": True})

    def later(self, undo: Callable[[], object]) -> None:
        """Call this at the end, whatever happens; the last first."""
        self._undo.append(undo)

    def remove(self, path: str, *, who: str = "demo", service: str = "", gone: bool = False) -> None:
        """At the end, delete this as soon as nothing uses it, and with `gone` wait until it is."""
        url = self.cloud.url(service or self.service, path)

        def undo() -> None:
            deadline = time.monotonic() + _PATIENCE
            while time.monotonic() < deadline:
                status = self._send("DELETE", url, None, who, None).status
                if status == 404 or (status != 409 and not gone):
                    return
                time.sleep(_PAUSE)

        self._undo.append(undo)

    def close(self) -> None:
        """Undo everything."""
        while self._undo:
            self._undo.pop()()

    def _send(self, method: str, url: str, body: Json, who: str, headers: Mapping[str, str] | None) -> Answer:
        given = dict(headers or {})
        if who != "nobody":
            given["X-Auth-Token"] = self.cloud.token(who) if who.isalpha() else who
        for name, value in given.items():
            if value.startswith("<token:"):
                given[name] = self.cloud.token(value[7:-1])
        given = {"Accept": "application/json"} | given
        content = body if isinstance(body, str) else None if body is None else json.dumps(body)
        if content is not None:
            given |= {"Content-Type": "application/json"}
        answer = self.cloud.http.request(method, url, content=content, headers=given)
        return Answer(answer.status_code, answer.headers, body_of(answer))

    def _write(
        self,
        method: str,
        url: str,
        service: str,
        body: Json,
        who: str,
        headers: Mapping[str, str] | None,
        answer: Answer,
        until: Mapping[str, Json] | None,
        sample: tuple[str, ...],
    ) -> None:
        replaced = self._replacer
        path = replaced.told(url.removeprefix(self.cloud.roots[service]))
        step: dict[str, Json] = {"as": replaced.told(who), "service": service, "method": method, "path": path}
        if headers:
            step["headers"] = replaced.told(headers)
        if body is not None:
            step["request"] = replaced.told(body)
        if until:
            step["until"] = dict(until)
        if sample:
            step["sample"] = list(sample)
        kept = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
        if "content-type" in answer.headers and answer.body is not None:
            kept["content-type"] = answer.headers["content-type"].split(";")[0]
        if "x-subject-token" in kept:
            replaced.learn(kept["x-subject-token"], "token")
        step["status"] = answer.status
        step["answer_headers"] = {name: replaced.text(value) for name, value in kept.items()}
        if answer.body is not None:
            step["answer"] = replaced.json(_sampled(answer.body, sample))
        self.steps.append(step)


def found_at(answer: Answer, where: str) -> Json:
    """The value at a dotted path in an answer's body; its status for "status"."""
    if where == "status":
        return answer.status
    value = answer.body
    for part in where.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def body_of(answer: httpx.Response) -> Json:
    """The JSON of an answer, its text where it is none, None where there is nothing."""
    if not answer.content:
        return None
    try:
        return json.loads(answer.content)
    except ValueError:
        return answer.text


def _sampled(body: Json, sample: tuple[str, ...]) -> Json:
    body = deepcopy(body)
    for where in sample:
        *outer, last = where.split(".")
        inside = body
        for part in outer:
            inside = inside[part]
        if isinstance(inside[last], list):
            inside[last] = inside[last][:1]
    return body
