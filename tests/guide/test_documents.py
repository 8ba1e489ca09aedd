"""The user guide in docs/: its commands can be read by a shell, its tables are the product's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic import BaseModel

from shared.contracts.http.baymodels import BaymodelCreate, BaymodelFull
from shared.contracts.http.bays import BayCreate, BayFull
from shared.contracts.http.clusters import ClusterCreate, ClusterFull
from shared.contracts.http.clustertemplates import ClustertemplateCreate, ClustertemplateFull
from shared.domain.labels import LABELS
from shared.drivers import registry
from shared.drivers.common import sources
from tests.guide.facts import CELLS, DRIVER_OF, EVERY, GUIDE, Promise

FOLDER: Final = Path(__file__).parents[2] / "docs" / "user-guide"
PAGES: Final = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
_FENCE: Final = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE: Final = re.compile(r"<< '?END'?\n(?P<text>.*?)^END$", re.MULTILINE | re.DOTALL)
_WORDS: Final = re.compile(r"`([^`]+)`")

Row = list[str]


def fences(kind: str) -> list[Any]:
    """All blocks of a kind."""
    found = [
        (page, match["text"])
        for page, text in PAGES.items()
        for match in _FENCE.finditer(text)
        if match["kind"] == kind
    ]
    return [pytest.param(text, id=f"{page}-{number}") for number, (page, text) in enumerate(found)]


def tables(page: str) -> Iterator[tuple[Row, list[Row]]]:
    """Every table of a page: its heading and its rows."""
    for block in re.findall(r"(?:^\|.*\|$\n?)+", PAGES[page], re.MULTILINE):
        heading, _, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        yield heading, rows


@pytest.mark.parametrize("block", fences("sh"))
def test_commands_are_shell(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", fences("sh"))
def test_files_that_they_write_are_yaml_or_json(block: str) -> None:
    for match in _HERE.finditer(block):
        text = match["text"]
        if not text.startswith(("#!", "import ")):
            assert [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]


@pytest.mark.parametrize("block", fences("yaml"))
def test_node_sources_are_known(block: str) -> None:
    assert sources.parse(block)


def test_every_picture_is_a_flowchart() -> None:
    pictures = [
        match["text"] for text in PAGES.values() for match in _FENCE.finditer(text) if match["kind"] == "mermaid"
    ]
    assert len(pictures) >= len(PAGES)
    assert all(one.startswith("flowchart ") for one in pictures)


def test_the_table_of_images_is_the_registry_s() -> None:
    (rows,) = [rows for heading, rows in tables("images.md") if heading[:3] == ["driver", "`os_distro`", "`coe`"]]
    shown = {}
    for name, distro, coe, _, login, _ in rows:
        words = _WORDS.findall(distro)
        shown[name.strip("`")] = ("bm" if "bm" in words else "vm", words[0], coe.strip("`"), login.strip("`"))
    logins = {one.name: one.login["name"] for one in EVERY}
    there = {driver.name: (*driver.key, logins[driver.name]) for driver in registry.DRIVERS}
    assert {name: shown.get(name) for name in there} == there
    assert shown.keys() == {one.name for one in EVERY}


@pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)
def test_the_guide_s_images_are_told_of(told: Promise) -> None:
    """Versions of the guide's image, where there is one, and what it says of all."""
    text = PAGES["images.md"]
    assert all(version in text for version in told.software.values() if version)
    assert all(word in text for word in GUIDE["every_image"]["software"])


@pytest.mark.parametrize(("page", "attribute"), [("networking.md", "network_driver"), ("storage.md", "volume_driver")])
def test_support_tables_are_the_guide_s(page: str, attribute: str) -> None:
    values = {f"`{cell.value}`" for cell in CELLS if cell.attribute == attribute}
    found = [
        (heading, rows) for heading, rows in tables(page) if {row[0] for row in rows} == values and "Mesos" in heading
    ]
    ((heading, rows),) = found
    for row in rows:
        for coe in DRIVER_OF:
            (cell,) = [one for one in CELLS if (one.attribute, f"`{one.value}`", one.coe) == (attribute, row[0], coe)]
            assert (row[heading.index(coe.capitalize())] != "refused") == cell.supported


_ATTRIBUTES: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "baymodel.md": (BaymodelCreate, BaymodelFull, ClustertemplateCreate, ClustertemplateFull),
    "bay.md": (BayCreate, BayFull, ClusterCreate, ClusterFull),
}
_OLD: Final = frozenset({"ssh_authorized_key", "template", "timeout"})
"""Ours alone, under other names on the wire; and what the oldest client sends as null."""


@pytest.mark.parametrize("page", _ATTRIBUTES)
def test_every_attribute_is_explained(page: str) -> None:
    """In a table, under each of its names; and no table explains one that is none."""
    there = {
        name
        for model in _ATTRIBUTES[page]
        for field, about in model.model_fields.items()
        for name in (field, about.alias or field)
    } - _OLD
    told = {
        word
        for heading, rows in tables(page)
        if heading[0] == "attribute"
        for row in rows
        for word in _WORDS.findall(row[0])
        if not word.startswith("--")
    }
    assert told == there


def test_every_label_is_named_where_baymodels_are_explained() -> None:
    """By itself, or with those of its kind in the README of the driver that has it."""
    known = {name for label in LABELS for name in (label.name,)}
    elsewhere = {name for name in known if name.startswith("mesos_slave_executor_env") or name.endswith("_tag")}
    assert known - elsewhere - set(_WORDS.findall(_FENCE.sub("", PAGES["baymodel.md"]))) == set()


@pytest.mark.parametrize("page", PAGES)
def test_labels_in_tables_exist_and_have_these_defaults(page: str) -> None:
    known: dict[str, set[str]] = {}
    for label in LABELS:
        known.setdefault(label.name, set()).add(label.rule.default)
    for heading, rows in tables(page):
        for row in rows if heading[0] == "label" else ():
            names, default = _WORDS.findall(row[0]), _WORDS.findall(row[1])
            assert set(names) <= known.keys()
            if len(names) == 1 and default and heading[1] == "default" and default[0] not in ("floating_ip_enabled",):
                assert default[0] in known[names[0]]
