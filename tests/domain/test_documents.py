"""Documents drawn from the code are the ones in docs/."""

from __future__ import annotations

from pathlib import Path

from scripts.generate_states import render

DOCS = Path(__file__).parents[2] / "docs"


def test_the_state_diagram_is_the_code_s() -> None:
    assert (DOCS / "bay-states.md").read_text() == render(), "run: make generate"
