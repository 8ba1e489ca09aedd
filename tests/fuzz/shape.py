"""A generated case made likely: real identifiers, values that the cloud knows, a person and a microversion.

Half of the time a case stays exactly as Schemathesis made it; otherwise each part is replaced with a chance of its own,
so that one request is often right but for one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from schemathesis import Case

from tests.fuzz.known import BAYS, MODELS, PROJECTS, REFERENCE, Known, in_path
from tests.fuzz.likely import CHANGES, LIKELY, NEEDED, QUERIES, a_request
from tests.fuzz.people import VERSION, Tokens, person, version


@dataclass(frozen=True)
class Shaper:
    """Shapes cases with what is known so far."""

    known: Known
    tokens: Tokens

    def shape(self, luck: Random, case: Case[Any]) -> str:
        """Change the case in place; returns who asks."""
        self._shape_path(luck, case)
        self._shape_query(luck, case)
        if luck.random() < 0.8:
            self._shape_body(luck, case)
        return self._shape_headers(luck, case)

    def _shape_path(self, luck: Random, case: Case[Any]) -> None:
        for name, kind in in_path(case.path).items():
            if luck.random() < (0.35 if case.method.upper() == "DELETE" else 0.8):
                value = "Cluster" if kind is None else self.known.pick(luck, kind)
                if value is not None:
                    case.path_parameters[name] = value

    def _shape_query(self, luck: Random, case: Case[Any]) -> None:
        for name in list(case.query):
            if luck.random() < 0.5:
                continue
            if name == "marker":
                value = self.known.pick(luck, MODELS if "model" in case.path or "template" in case.path else BAYS)
            elif name == "project_id":
                value = self.known.pick(luck, PROJECTS)
            else:
                value = luck.choice(QUERIES[name]) if name in QUERIES else None
            if value is not None:
                case.query[name] = value

    def _shape_body(self, luck: Random, case: Case[Any]) -> None:
        if isinstance(case.body, dict):
            needed = NEEDED.get(case.path.rpartition("/")[2], {}) if luck.random() < 0.8 else {}
            case.body = self._likely(luck, {**needed, **case.body})
        elif isinstance(case.body, list):
            words = case.path.split("/")
            kind = MODELS if "model" in case.path or "template" in case.path else BAYS
            kind = "nodegroups" if "nodegroups" in words else kind
            if kind in CHANGES:
                case.body = [_fresh(luck, change) for change in luck.choices(CHANGES[kind], k=luck.choice((1, 1, 2)))]

    def _likely(self, luck: Random, body: dict[str, Any]) -> dict[str, Any]:
        odd = luck.choice(sorted(body)) if body and luck.random() < 0.25 else None
        result: dict[str, Any] = {}
        for name, value in body.items():
            if name == "bay_uuid" and "cluster_uuid" in body:
                continue  # two names of one thing
            if name == odd:
                result[name] = value
            elif name == "name":
                result[name] = f"fuzz-{luck.randrange(10**6)}"
            elif name == "csr":
                result[name] = a_request()
            elif name in REFERENCE:
                result[name] = self.known.pick(luck, REFERENCE[name]) or value
            elif name not in LIKELY:
                result[name] = value
            elif (good := luck.choice(LIKELY[name])) is not None:
                result[name] = good
        return result

    def _shape_headers(self, luck: Random, case: Case[Any]) -> str:
        who, asked = person(luck, case.path), version(luck, case.path)
        for name in ("X-Auth-Token", VERSION):
            case.headers.pop(name, None)
        if (token := self.tokens.of(who)) is not None:
            case.headers["X-Auth-Token"] = token
        if asked is not None:
            case.headers[VERSION] = asked
        return who


def _fresh(luck: Random, change: dict[str, Any]) -> dict[str, Any]:
    """A rename to a name of its own: names that several things have are met often enough without."""
    return {**change, "value": f"fuzz-{luck.randrange(10**6)}"} if change["path"] == "/name" else change
