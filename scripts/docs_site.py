"""mkdocs' hook: the site shows what the repository shows, and loads nothing from elsewhere.

The pages are written for who reads them in the repository. So, on the way into the site,

- the documents outside docs/ that people are sent to (`OUTSIDE`) become pages below `repository/`;
- links that lead out of docs/ lead to those pages, and links to source code become text that names the file;
- Mermaid's diagrams become pictures, drawn here: the theme would have the reader's browser fetch Mermaid;
- lists are indented as Python-Markdown wants them, which is by four.

A folder in mkdocs.yml's nav stands for all of its pages.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import mermaidx  # type: ignore[import-untyped]
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
OUTSIDE: Final = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "cloudsim/README.md", "shared/drivers/*/README.md")
BELOW: Final = "repository/"

_DRAWN: Final = ROOT / "dist" / "diagrams"
_FENCE: Final = re.compile(r"^( *)(`{3,}).*?^\1\2 *$\n?", re.DOTALL | re.MULTILINE)
_DIAGRAM: Final = re.compile(r"\A```mermaid\n(?P<source>.*)^```", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"(?P<mark>!?)\[(?P<words>[^\]\[]*)\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_ITEM: Final = re.compile(r"(?P<mark>[-*]|\d+\.)(?P<gap> +)(?=\S)")


def outside() -> list[str]:
    """The documents of `OUTSIDE`, relative to the root."""
    return sorted(str(path.relative_to(ROOT)) for pattern in OUTSIDE for path in ROOT.glob(pattern))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give the folders of the nav their pages."""
    config.nav = _unfolded(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside docs/."""
    for path in outside():
        files.append(File.generated(config, BELOW + path, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn a page of the repository into one of the site. Raises PluginError for a diagram that is none."""
    uri = page.file.src_uri
    parts: list[str] = []
    for text, fence in _pieces(_lists(markdown)):
        parts.append(_LINK.sub(lambda link: _link(link, uri), text))
        drawing = _DIAGRAM.match(fence)
        if drawing is None:
            parts.append(fence)
            continue
        place = f"diagrams/{_digest(drawing['source'])}.svg"
        if files.get_file_from_path(place) is None:
            files.append(File.generated(config, place, content=_drawn(drawing["source"], uri)))
        headings = _HEADING.findall("".join(parts)) or [uri]
        parts.append(f"![{headings[-1]}]({posixpath.relpath(place, posixpath.dirname(uri))})\n")
    return "".join(parts)


def _unfolded(items: Any, docs: Path) -> Any:
    """The nav with the pages of a folder in place of its name; their titles are their headings."""
    if isinstance(items, list):
        unfolded = [_unfolded(item, docs) for item in items]
        return [page for one in unfolded for page in (one if isinstance(one, list) else [one])]
    if isinstance(items, dict):
        return {title: _unfolded(what, docs) for title, what in items.items()}
    if items.endswith(".md"):
        return items
    ours = [path for path in outside() if (BELOW + path).startswith(f"{items}/")]
    return [BELOW + path for path in ours] or sorted(
        str(path.relative_to(docs)) for path in (docs / items).glob("*.md")
    )


def _pieces(markdown: str) -> Iterator[tuple[str, str]]:
    """The text in pairs: prose, and the fenced block behind it ("" after the last)."""
    end = 0
    for fence in _FENCE.finditer(markdown):
        yield markdown[end : fence.start()], fence[0]
        end = fence.end()
    yield markdown[end:], ""


def _link(link: re.Match[str], uri: str) -> str:
    target, _, heading = link["target"].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return link[0]
    here = uri.removeprefix(BELOW) if uri.startswith(BELOW) else f"docs/{uri}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    readme = posixpath.normpath(f"{path}/README.md")
    place = next((found for one in (path, readme) if (found := _place(one))), None)
    if place is None:
        return f'<span title="{path}">{link["words"]}</span>' if (ROOT / path).exists() else link[0]
    relative = posixpath.relpath(place, posixpath.dirname(uri))
    return f"{link['mark']}[{link['words']}]({relative}{'#' if heading else ''}{heading})"


def _place(path: str) -> str | None:
    """Where in the site a file of the repository is; None: nowhere."""
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    return BELOW + path if path in outside() else None


def _digest(source: str) -> str:
    return hashlib.sha256(f"{version('mermaidx')}\n{source}".encode()).hexdigest()[:16]


def _drawn(source: str, uri: str) -> str:
    """The picture; it takes a second, so it is kept."""
    kept = _DRAWN / f"{_digest(source)}.svg"
    if not kept.exists():
        try:
            picture = mermaidx.render(source).svg()
        except RuntimeError as error:
            raise PluginError(f"{uri}: {error}") from error
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(picture, encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def _lists(markdown: str) -> str:
    """Indent by four a level what belongs to an item of a list, and part a list from the paragraph before it."""
    lines: list[str] = []
    offsets: list[int] = []
    inside: str | None = None
    for line in markdown.split("\n"):
        bare = line.lstrip(" ")
        depth = len(line) - len(bare)
        if inside is None and bare:
            while offsets and depth < offsets[-1]:
                offsets.pop()
        shift = 4 * len(offsets) - (offsets[-1] if offsets else 0)
        item = None if inside is not None else _ITEM.match(bare)
        if item and not offsets and lines and lines[-1] and not _in_list(lines):
            lines.append("")
        lines.append(" " * (depth + shift) + bare if bare else "")
        if item:
            offsets.append(depth + item.end())
        if (fence := re.match(r"`{3,}", bare)) and inside in (None, fence[0]):
            inside = fence[0] if inside is None else None
    return "\n".join(lines)


def _in_list(lines: list[str]) -> bool:
    """Whether the paragraph that the last line is of begins with an item."""
    for line in reversed(lines):
        if not line:
            return False
        if _ITEM.match(line.lstrip(" ")):
            return True
    return False
