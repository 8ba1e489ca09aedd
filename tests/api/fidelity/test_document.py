"""docs/magnum-compatibility.md has the tables as they are here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.api.fidelity.render import BEGIN, END, document

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "magnum-compatibility.md"
UPDATE: Final = os.environ.get("JEROBOAM_UPDATE_GOLDEN") == "1"


def test_the_document_has_these_tables() -> None:
    """Written anew with JEROBOAM_UPDATE_GOLDEN=1."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert begun, f"the document lacks the line {BEGIN}"
    assert ended, f"the document lacks the line {END}"
    fresh = f"{before}{BEGIN}\n{document()}{END}{after}"
    if UPDATE:
        DOCUMENT.write_text(fresh, encoding="utf-8")
    assert UPDATE or text == fresh, "run with JEROBOAM_UPDATE_GOLDEN=1 and read what has changed"
