"""A page of the site as what it refers to and how much of each thing it shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from typing_extensions import override

LOADED: Final = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "image": "href",
    "use": "href",
    "link": "href",
}
"""What a browser fetches by itself."""


@dataclass
class Page(HTMLParser):
    """One page. `shown` counts elements within the article, which the theme adds nothing to."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    shown: Counter[str] = field(default_factory=Counter)
    _inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = self._inside or tag == "article"
        self.shown[tag] += self._inside
        self.classes |= set(values.get("class", "").split())
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if found := values.get(LOADED.get(tag, "")):
            self.loads.append(found)

    @override
    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "article"


def parsed(text: str) -> Page:
    """The page that this is."""
    page = Page()
    page.feed(text)
    return page


@cache
def read(path: Path) -> Page:
    """The page at that place."""
    return parsed(path.read_text(encoding="utf-8"))
