"""The user guide has every chapter that Magnum's has or promises, and each can be seen, done, and is finished."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT
from tests.walk.pages import PAGES, Page

CHAPTERS = (
    ("Overview", "overview"),
    ("BayModel", "baymodel"),
    ("Bay", "bay"),
    ("Python Client", "client"),
    ("Horizon Interface", "dashboard"),
    ("Choosing COE", "choosing-a-coe"),
    ("Native clients", "native-clients"),
    ("Kubernetes", "kubernetes"),
    ("Swarm", "swarm"),
    ("Mesos", "mesos"),
    ("Transport Layer Security", "tls"),
    ("Networking", "networking"),
    ("High Availability", "high-availability"),
    ("Scaling", "scaling"),
    ("Storage", "storage"),
    ("Image Management", "images"),
)
"""Magnum's word for a chapter, and our page."""

_UNFINISHED = re.compile(
    r"to be filled|not written yet|\b(?:TODO|TBD|FIXME|XXX)\b|coming soon|lorem ipsum", re.IGNORECASE
)
_TABLE = re.compile(r"^\|[-| :]+\|$", re.MULTILINE)
_PICTURE = re.compile(r"^```mermaid$|!\[[^\]]*\]\([^)]+\)", re.MULTILINE)


@pytest.mark.parametrize(("chapter", "page"), CHAPTERS, ids=str)
def test_a_chapter_is_there_and_can_be_seen_and_done(chapter: str, page: str) -> None:
    path = ROOT / "docs" / "user-guide" / f"{page}.md"
    assert path.exists(), f"no page for {chapter}"
    text = path.read_text(encoding="utf-8")
    assert _TABLE.search(text) or _PICTURE.search(text), "neither a picture nor a table"
    walked = {one.path for one in PAGES}
    assert Page(f"docs/user-guide/{page}.md").blocks, "nothing to do: no ```sh"
    assert f"docs/user-guide/{page}.md" in walked, "its commands are not run by tests/walk"


@pytest.mark.parametrize("page", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")))
def test_no_page_is_unfinished(page: str) -> None:
    prose = re.sub(r"`[^`\n]*`", "", (ROOT / page).read_text(encoding="utf-8"))
    assert _UNFINISHED.findall(prose) == []
