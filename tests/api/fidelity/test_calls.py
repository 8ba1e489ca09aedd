"""Every endpoint at every microversion: Magnum's answer, or a difference that is written down with its reason."""

from __future__ import annotations

import pytest

from tests.api.fidelity.asking import ask, magnums, ours, problems
from tests.api.fidelity.fields import VIEWS
from tests.api.fidelity.messages import MESSAGES
from tests.api.fidelity.model import Answer, Call, Differs
from tests.api.fidelity.more_calls import CALLS
from tests.api.fidelity.world import World
from tests.api.harness import MODEL

ALL = [call for part in (CALLS, MESSAGES) for calls in part.values() for call in calls]


def _name(call: Call) -> str:
    return f"{call.request} {call.note or call.body or ''}"[:90]


@pytest.mark.parametrize("call", ALL, ids=_name)
def test_the_answer_is_the_one_of_the_table(world: World, call: Call) -> None:
    wrong = [f"1.{version}: {what}" for version in call.at for what in _wrong(world, call, version)]
    assert wrong == []


@pytest.mark.parametrize("call", [call for call in ALL if 1 in call.at], ids=_name)
def test_no_microversion_is_1_1(world: World, call: Call) -> None:
    answer = world.named(_expected(call, 1))
    assert problems(answer, ask(world, call, None, many=answer.many), ours(answer, 1)) == []


def test_every_difference_has_its_reason() -> None:
    silent = [_name(call) for call in ALL for one in call.ours.values() if one is not None and not one.why]
    assert silent == []


def test_every_view_is_looked_at() -> None:
    seen = {answer.view for call in ALL for version in call.at for answer in (_expected(call, version),)}
    assert VIEWS.keys() - seen == set()


def test_the_comparison_finds_what_is_wrong(world: World) -> None:
    """A difference that is none any more, another status, another body, and another text."""
    stats, quota = Answer(200, "stats"), Answer(200, "quota")
    for call, what in (
        (Call("GET /v1/stats", {1: stats}, {1: Differs(stats, "it was one once")}), "this is Magnum's answer"),
        (Call("GET /v1/stats", {1: Answer(202, "stats")}), "status 200, not 202"),
        (Call("GET /v1/stats", {1: quota}), "keys that differ: ['clusters',"),
        (Call("GET /v1/clusters/nope", {1: Answer(404, text="Cluster … is gone.")}), "text 'Cluster nope could not"),
        (Call("POST /v1/clustertemplates", {1: Answer(201)}, body=MODEL), "Location is there"),
    ):
        (found,) = _wrong(world, call, 1)
        assert found.startswith(what)


def _expected(call: Call, version: int) -> Answer:
    different = call.differs(version)
    return different.answer if different is not None else call.wanted(version)


def _wrong(world: World, call: Call, version: int) -> list[str]:
    """What is not as the tables say, and differences that are none (any more)."""
    answer, magnum = (world.named(one) for one in (_expected(call, version), call.wanted(version)))
    seen = ask(world, call, version, many=answer.many)
    found = problems(answer, seen, ours(answer, version))
    if call.differs(version) is not None and not problems(magnum, seen, magnums(magnum, version)):
        found.append("this is Magnum's answer: take the difference out of the table")
    return found
