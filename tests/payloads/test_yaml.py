"""Every YAML text that a driver gives: templates and cloud-config. Manifests are looked at where they are written."""

from __future__ import annotations

from pathlib import Path

from shared.drivers.contract import Driver
from tests.drivers.cases import PAIRS, render
from tests.payloads.rendered import Node, distinct
from tests.payloads.tools import clean, needed

TEMPLATES = (
    "{extends: default, rules: {line-length: {max: 160}, braces: {max-spaces-inside: 0}, document-start: disable}}"
)
MADE_BY_A_PROGRAM = (
    "{extends: default, rules: {line-length: disable, document-start: disable, comments: disable, "
    "indentation: {indent-sequences: consistent}, trailing-spaces: disable, empty-lines: disable, "
    "comments-indentation: disable}}"
)


def lint(rules: str, texts: dict[str, str], folder: Path) -> None:
    for name, text in distinct(texts).items():
        (folder / name).write_text(text)
    clean(needed("yamllint"), "-s", "-d", rules, str(folder))


def test_templates(driver: Driver, tmp_path: Path) -> None:
    texts = {}
    for owner, case in PAIRS:
        if owner is driver:
            stack = render(driver, case)
            texts[f"{case}-bay.yaml"] = stack.template
            texts |= {f"{case}-{name}": text for name, text in stack.files.items() if name.endswith(".yaml")}
    lint(TEMPLATES, texts, tmp_path)


def test_cloud_configs(nodes: tuple[Node, ...], tmp_path: Path) -> None:
    texts = {}
    for node in nodes:
        for index, text in enumerate(node.cloud_configs):
            texts[f"{node.name}-{index}.yaml"] = text.rstrip("\n") + "\n"  # MIME's boundary has the last line's end
    lint(MADE_BY_A_PROGRAM, texts, tmp_path)
