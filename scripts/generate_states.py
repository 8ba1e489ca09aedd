"""Draw docs/bay-states.md from the state table and the flows (`make generate`)."""

from __future__ import annotations

from pathlib import Path

from shared.domain.bay_state import SENTENCES, TRANSITIONS, BayStatus
from shared.domain.operation import FLOWS

TARGET = Path(__file__).parents[1] / "docs" / "bay-states.md"


def render() -> str:
    """The whole document."""
    return "\n".join([*_head(), *_diagram(), "", *_states(), "", *_flows(), ""])


def _head() -> list[str]:
    return [
        "# The life of a bay",
        "",
        "Drawn from `shared/domain/bay_state.py` and `shared/domain/operation.py` by `make generate`; do not edit.",
        "",
    ]


def _diagram() -> list[str]:
    moves = [
        f"    {status} --> {became}: {event.value}"
        for status, row in TRANSITIONS.items()
        for event, became in row.items()
    ]
    return ["```mermaid", "stateDiagram-v2", "    [*] --> CREATE_IN_PROGRESS: create asked", *moves, "```"]


def _states() -> list[str]:
    rows = [f"| `{s}` | {'yes' if s.stable else 'no'} | {SENTENCES[s]} |" for s in BayStatus]
    return ["## States", "", "| status | at rest | meaning |", "| --- | --- | --- |", *rows]


def _flows() -> list[str]:
    lines = ["## Operations and their steps", ""]
    for flow in FLOWS.values():
        lines += [f"### {flow.kind.value}", "", f"Begins with `{flow.requested}`, ends with `{flow.finished}`.", ""]
        lines += ["| step | service | what people read |", "| --- | --- | --- |"]
        lines += [f"| `{step.name}` | {step.service.value} | {step.sentence} |" for step in flow.steps]
        lines += [""]
    return lines[:-1]


if __name__ == "__main__":
    TARGET.write_text(render())
