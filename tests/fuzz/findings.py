"""What an answer must be: below 500, and in status, content type, headers and body as the document says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from schemathesis import Case, Response
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: Final[list[CheckFunction]] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_LOUD: Final = 1500
_VARIABLE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{3,}")


@dataclass
class Finding:
    """One thing that is wrong, with the shortest request that showed it."""

    what: str
    request: str
    answer: str
    operations: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """For people."""
        where = ", ".join(sorted(self.operations))
        seen = f"{self.operations.total()} times in {len(self.operations)} operations"
        return f"{self.what}\n  seen {seen}: {where}\n  {self.request}\n  -> {self.answer}"


@dataclass
class Findings:
    """What was found so far, each kind of thing once."""

    cases: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    found: dict[str, Finding] = field(default_factory=dict)

    def judge(self, case: Case[Any], answer: Response, person: str) -> None:
        """Count the case and note what is wrong with its answer."""
        self.cases += 1
        label = case.operation.label
        self.statuses[label, answer.status_code] += 1
        for what in _wrong(case, answer):
            self._note(label, what, f"as {person}: {_request(case, answer)}", _answer(answer))

    def silent(self, case: Case[Any], error: Exception, person: str) -> None:
        """The request got no answer at all."""
        self.cases += 1
        self._note(case.operation.label, f"no answer: {type(error).__name__}: {error}", f"as {person}: {case!r}", "")

    def _note(self, operation: str, what: str, request: str, answer: str) -> None:
        finding = self.found.setdefault(_VARIABLE.sub("…", what)[:160], Finding(what[:_LOUD], request, answer))
        finding.operations[operation] += 1
        if len(request) < len(finding.request):
            finding.request, finding.answer = request, answer

    def table(self) -> str:
        """A line for each operation: how often which status was answered."""
        lines = []
        for operation in sorted({label for label, _ in self.statuses}):
            counts = {status: n for (label, status), n in sorted(self.statuses.items()) if label == operation}
            lines.append(f"{operation:<52} " + "  ".join(f"{status}: {n}" for status, n in counts.items()))
        return "\n".join(lines)


def _wrong(case: Case[Any], answer: Response) -> list[str]:
    found = []
    if answer.status_code >= 500:
        found.append(f"answered {answer.status_code}")
    documented = case.operation.responses.find_by_status_code(answer.status_code)
    if documented is not None and not documented.definition.get("content") and answer.content:
        found.append(f"{answer.status_code} is documented as empty and has a body")
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        found += [_words(failure) for failure in group.exceptions]
    except Failure as failure:
        found.append(_words(failure))
    return found


def _words(failure: Failure) -> str:
    """The failure in a line; a schema and a value that it quotes at length are in the answer anyway."""
    quoted = re.findall(r"Schema(?: at (\S+))?:", failure.message)
    where = f" (schema {quoted[0]})" if quoted and quoted[0] else ""
    return re.sub(r"\s+", " ", f"{failure.title} {failure.message}").partition(" Validated against")[0] + where


def _request(case: Case[Any], answer: Response) -> str:
    request = answer.request
    headers = {k: v for k, v in request.headers.items() if k.lower() in ("openstack-api-version", "content-type")}
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    return f"{request.method} {request.path_url} {headers} {body[:_LOUD]!r}"


def _answer(answer: Response) -> str:
    kind = (answer.headers.get("content-type") or ["no content type"])[0]
    return f"{answer.status_code} {kind} {answer.content[:_LOUD]!r}"
