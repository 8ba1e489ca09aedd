"""The campaign: rounds over all operations of the document until enough cases were run or the time is over.

A round makes before it shows, shows before it changes, and deletes last, so that later rounds meet rows in all states.
Cases come from Hypothesis with the round's seed. Who asks and which identifiers are put in depends on what was made
before; that luck has a source of its own, seeded with the case's number, because Hypothesis must not see draws that
depend on the world.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.core.result import Err

from tests.fuzz.findings import Findings
from tests.fuzz.known import PROJECTS, Known
from tests.fuzz.people import MEMBERS, Tokens
from tests.fuzz.shape import Shaper

SEED: Final = 20261122
EVENTS: Final = "text/event-stream"
PATIENCE: Final = 45.0
_SHARE: Final = {"post": 10, "get": 5, "patch": 8, "delete": 3}
"""Valid cases of an operation in a round."""
_ORDER: Final = ("post", "get", "patch", "put", "delete")
_FIRST: Final = ("/v1/baymodels", "/v1/clustertemplates", "/v1/bays", "/v1/clusters")
_QUIET: Final = settings(
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Campaign:
    """One run against a gateway. `api_url` is its base without /v1."""

    api_url: str
    keystone_url: str
    wanted: int
    seconds: float
    findings: Findings = field(default_factory=Findings)
    known: Known = field(default_factory=Known)

    def run(self) -> Findings:
        """Run until `wanted` cases or `seconds` are reached, whichever is first."""
        self._ends = time.monotonic() + self.seconds
        self._session = requests.Session()
        self._shaper = Shaper(self.known, Tokens(f"{self.keystone_url}"))
        self._know_projects()
        operations = self._operations()
        number = 0
        with self._session:
            while not self._over():
                for index, operation in enumerate(operations):
                    self._explore(operation, SEED + number * 1000 + index)
                number += 1
        return self.findings

    def _operations(self) -> list[APIOperation[Any, Any, Any, Any]]:
        schema = schemathesis.openapi.from_url(f"{self.api_url}/openapi.json")
        found = []
        for result in schema.get_all_operations():
            if isinstance(result, Err):
                raise result.err()
            found.append(result.ok())
        return sorted(found, key=_turn)

    def _explore(self, operation: APIOperation[Any, Any, Any, Any], number: int) -> None:
        """Some valid cases and some that the document forbids."""
        for mode, share in (
            (GenerationMode.POSITIVE, _share(operation)),
            (GenerationMode.NEGATIVE, 2 if _share(operation) > 1 else 0),
        ):
            if share and not self._over():
                self._generate(operation, mode, share, number)

    def _generate(
        self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, count: int, number: int
    ) -> None:
        @seed(number)
        @settings(_QUIET, max_examples=count)
        @given(operation.as_strategy(generation_mode=mode))
        def once(case: Case[Any]) -> None:
            if not self._over():
                self._ask(case, self._shaper.shape(Random(SEED + self.findings.cases), case))

        with warnings.catch_warnings(), contextlib.suppress(Unsatisfiable):  # nothing can be forbidden where nothing is
            warnings.simplefilter("ignore")
            once()

    def _ask(self, case: Case[Any], person: str) -> None:
        try:
            answer = self._send(case)
        except requests.RequestException as error:
            self.findings.silent(case, error, person)
            return
        if answer is None:
            self.findings.cases += 1
            self.findings.statuses[case.operation.label, 200] += 1
            return
        self.findings.judge(case, answer, person)
        if answer.status_code == 204:
            for identifier in case.path_parameters.values():
                self.known.forget(str(identifier))
        elif answer.status_code < 300 and person == MEMBERS[0] and case.path.startswith("/v1/"):
            with contextlib.suppress(ValueError):
                self.known.learn(case.path, answer.json())

    def _send(self, case: Case[Any]) -> Response | None:
        """The answer; None for a stream of events that has begun, which is closed at once."""
        sent = self._session.request(
            **case.as_transport_kwargs(base_url=self.api_url), stream=True, timeout=PATIENCE, allow_redirects=False
        )
        with sent:
            if sent.status_code == 200 and str(sent.headers.get("content-type", "")).startswith(EVENTS):
                return None
            return Response.from_requests(sent, verify=True)

    def _know_projects(self) -> None:
        for person in MEMBERS:
            self._shaper.tokens.of(person)
        self.known.found[PROJECTS] += self._shaper.tokens.projects.values()

    def _over(self) -> bool:
        return self.findings.cases >= self.wanted or time.monotonic() > self._ends


def _share(operation: APIOperation[Any, Any, Any, Any]) -> int:
    """Few for what takes nothing, and for what is only there to say where it went."""
    succeeds = any(str(status).startswith("2") for status in operation.responses.status_codes)
    takes = operation.body or operation.path_parameters or operation.query
    return _SHARE.get(operation.method.lower(), 1) if succeeds and takes else 1


def _turn(operation: APIOperation[Any, Any, Any, Any]) -> tuple[int, int, str]:
    method, path = operation.method.lower(), operation.path
    return (
        _ORDER.index(method) if method in _ORDER else len(_ORDER),
        _FIRST.index(path) if path in _FIRST else len(_FIRST),
        path,
    )
