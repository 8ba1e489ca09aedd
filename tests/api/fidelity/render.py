"""The tables as docs/magnum-compatibility.md shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from tests.api.fidelity.defaults import DEFAULTS
from tests.api.fidelity.fields import VIEWS, Field, Span, View
from tests.api.fidelity.messages import MESSAGES
from tests.api.fidelity.model import EVERY, LAST, Answer, Call
from tests.api.fidelity.more_calls import CALLS
from tests.api.harness import MODEL

BEGIN: Final = "<!-- generated from tests/api/fidelity; do not edit from here on -->"
END: Final = "<!-- end of what is generated -->"

_SAME: Final = "same"
_BASE: Final = {**MODEL, "cluster_template_id": "{template}", "baymodel_id": "{template}"}
_RULE: Final = "| --- "
_ABOVE: Final = (
    "`{…}` stands for the uuid of such a thing, “(brief)” for an item of a list, “(failed)” for one whose status ends "
    "in `_FAILED`. Requests without the header `OpenStack-API-Version` are answered as at 1.1. With each answer below "
    "`/v1` the three headers of the version and `Vary` are checked, and with each refusal its form."
)
_NAMES: Final = {
    **dict.fromkeys(("fresh", "failed", "plain"), "cluster"),
    **dict.fromkeys(("unused", "other", "published", "hidden", "balanced"), "template"),
    **dict.fromkeys(("limited", "theirs"), "project"),
    **dict.fromkeys(("twins", "named"), "name"),
    "nobody": "uuid",
    "fed": "federation",
    "csr": "…",
}
"""What the world's values are, for who reads."""
_DEFAULTS: Final = (
    "What a bay has of which nobody says anything, by the name under which its template was made; by which name the "
    "bay is made then does not matter."
)
_TEXTS: Final = "At microversion 1.14, unless another is named. `…` is text that changes."

Line = tuple[str, ...]


def document() -> str:
    """What stands between the two marks."""
    return "\n".join([*_head(), *_defaults(), *_calls(), *_fields(), *_messages()]) + "\n"


def _head() -> Iterator[str]:
    every = [call for part in (CALLS, MESSAGES) for calls in part.values() for call in calls]
    asked = [(call, version) for call in every for version in call.at]
    other = sum(_here(call, version)[0] != _SAME for call, version in asked)
    count = f"{len(asked)} answers to {len(every)} requests are compared with Magnum's whenever the tests run"
    yield from ("", f"{count}: {len(asked) - other} are the same, {other} differ as is written here.", "")


def _defaults() -> Iterator[str]:
    head = ("attribute or label", "guide", "later Magnum", "`/v1/baymodels` here", "`/v1/clustertemplates` here", "why")
    lines = [
        (f"`{one.name}`", *map(_value, (one.guide, one.magnum, one.baymodel, one.template)), one.why)
        for one in DEFAULTS
        if not one.alike
    ]
    same = ", ".join(f"`{one.name}`" for one in DEFAULTS if one.alike)
    yield from _table("## Defaults", head, lines)
    yield from (f"{_DEFAULTS} The same in all four columns: {same}.", "")


def _value(text: str) -> str:
    return f"`{text}`" if text else "none"


def _calls() -> Iterator[str]:
    yield from ("## Endpoints", "", _ABOVE, "")
    for title, calls in CALLS.items():
        lines = [line for call in calls for line in _lines(call)]
        yield from _table(f"### {title}", ("request", "microversion", "Magnum", "here", "why"), lines)


def _lines(call: Call) -> Iterator[Line]:
    """A line for each run of microversions with the same answers."""
    request = f"`{_named(call.request)}`" + (f", {call.note}" if call.note else "")
    answers = [(_answer(call.wanted(version)), *_here(call, version)) for version in call.at]
    for key, run in groupby(zip(call.at, answers, strict=True), key=lambda pair: pair[1]):
        versions = [version for version, _ in run]
        yield request, _span((versions[0], versions[-1])), *key
        request = ""


def _here(call: Call, version: int) -> tuple[str, str]:
    """Our answer, and why it differs."""
    different, magnum = call.differs(version), call.wanted(version)
    if different is not None:
        return f"**{_answer(different.answer)}**", different.why
    extra = [one for one in _view_fields(magnum) if _has(one.ours, version) and not _has(one.magnum, version)]
    if not extra:
        return _SAME, ""
    return f"**same, and {_names(extra)}**", "; ".join(dict.fromkeys(one.why for one in extra))


def _answer(answer: Answer) -> str:
    words = [str(answer.status)]
    if answer.view:
        words.append(f"[{_short(answer)}](#{_anchor(VIEWS[answer.view].title)})")
    if answer.location:
        words.append("with `Location`")
    if answer.text:
        words.append(_quoted(answer.text) if answer.status != 406 else "")
    return " ".join(word for word in words if word)


def _short(answer: Answer) -> str:
    name, _, kind = answer.view.partition(", ")
    named = f"{name} ({kind})" if kind else name
    return f"list: {named}" if answer.many else named


def _fields() -> Iterator[str]:
    yield from ("## Fields", "", "In which microversions a body has a key.", "")
    for view in VIEWS.values():
        yield from _table(f"### {view.title}", ("fields", "Magnum", "here", "why"), list(_field_lines(view)))


def _field_lines(view: View) -> Iterator[Line]:
    """Fields that are alike share a line."""
    base = VIEWS[view.base].fields if view.base else ()
    if view.base:
        yield f"all of [{VIEWS[view.base].title}](#{_anchor(VIEWS[view.base].title)})", "", _SAME, ""
    own = [one for one in view.fields if one not in base]
    for magnum, ours, why in dict.fromkeys((one.magnum, one.ours, one.why) for one in own):
        alike = [one for one in own if (one.magnum, one.ours, one.why) == (magnum, ours, why)]
        here = _SAME if magnum == ours else f"**{_span(ours)}**"
        yield _names(alike), _span(magnum), here, why


def _messages() -> Iterator[str]:
    yield from ("## What is said to bad requests", "", _TEXTS, "")
    for title, calls in MESSAGES.items():
        lines = [_message(call) for call in calls if call.shown]
        yield from _table(f"### {title}", ("request", "Magnum", "here", "why"), lines)


def _message(call: Call) -> Line:
    (version,) = call.at
    request = f"`{_named(call.request)}`" + (f" at 1.{version}" if version != LAST else "")
    said = call.note or _body(call.body)
    magnum, different = call.wanted(version), call.differs(version)
    here = _SAME if different is None else f"**{_said(different.answer)}**"
    return f"{request} {said}".strip(), _said(magnum), here, different.why if different is not None else ""


def _said(answer: Answer) -> str:
    return f"{answer.status} {_quoted(answer.text)}" if answer.text else str(answer.status)


def _body(body: object) -> str:
    """What is wrong with it: the rest of it is good and as in every request."""
    if isinstance(body, dict):
        body = {key: value for key, value in body.items() if (key, value) not in _BASE.items()}
    return f"`{_named(json.dumps(body))}`" if body is not None else ""


def _table(title: str, head: Line, lines: Iterable[Line]) -> Iterator[str]:
    yield from (title, "", f"| {' | '.join(head)} |", f"{_RULE * len(head)}|")
    for line in lines:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
    yield ""


def _quoted(text: str) -> str:
    return f"“{text}”" if "`" in text else f"`{_named(text)}`" if text else ""


def _named(text: str) -> str:
    """With names that mean something to who reads."""
    for name, shown in _NAMES.items():
        text = text.replace(f"{{{name}}}", f"{{{shown}}}" if shown != "…" else shown)
    if "/v1/bays/" in text:
        return text.replace("{cluster}", "{bay}")
    return text.replace("{template}", "{baymodel}") if "/v1/baymodels/" in text else text


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(f"`{one.name}`" for one in fields)


def _span(span: Span) -> str:
    first, last = span
    if first == 0:
        return "never"
    if (first, last) == (EVERY[0], EVERY[-1]):
        return "all"
    return f"1.{first}" if first == last else f"1.{first}–1.{last}"


def _has(span: Span, version: int) -> bool:
    return span[0] <= version <= span[1]


def _view_fields(answer: Answer) -> tuple[Field, ...]:
    return VIEWS[answer.view].fields if answer.view else ()


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
