"""Every script and every file that is a script, of every node: shellcheck, bash -n, dash -n."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import shared.drivers
from shared.drivers import registry
from shared.drivers.contract import Driver
from tests.payloads.rendered import Node, distinct, nodes_of
from tests.payloads.tools import clean, needed

CALLED = re.compile(r"(?:^|[\s;&|(])(?:sh|\.) +(/etc/jeroboam/[A-Za-z0-9._-]+)", re.MULTILINE)
ASKED_FOR = re.compile(r"-[efrs] (/etc/jeroboam/[A-Za-z0-9._-]+)")


def scripts(nodes: tuple[Node, ...]) -> dict[str, str]:
    """The same text once."""
    found = {f"{node.name}-{name}".replace("/", "_"): text for node in nodes for name, text in node.scripts.items()}
    return distinct(found)


@pytest.fixture(params=registry.DRIVERS, ids=lambda driver: driver.name)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """Files with the scripts of a driver."""
    paths = []
    for name, text in scripts(nodes_of(request.param)).items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    assert len(paths) > 5
    return paths


def test_shellcheck(written: list[Path]) -> None:
    clean(needed("shellcheck"), "--severity=style", *map(str, written))


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_each_shell_reads_it(written: list[Path], shell: str) -> None:
    for path in written:
        first = path.read_text().partition("\n")[0]
        if shell == "bash" or not first.endswith("bash"):
            clean(needed(shell), "-n", str(path))


def test_scripts_are_posix_and_numbered(nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        for name, text in node.parts.items():
            assert text.startswith("#!/bin/sh\n"), (node.name, name)
            assert re.match(r"[0-9]{2}-", name), (node.name, name)
        assert list(node.parts)[-1] == "90-signal.sh", node.name


def test_scripts_name_only_files_that_are_there(nodes: tuple[Node, ...]) -> None:
    """`sh /etc/jeroboam/X` and `. /etc/jeroboam/X` in any script; what only some bays have is asked for before."""
    for node in nodes:
        called = {path for text in node.scripts.values() for path in CALLED.findall(text)}
        conditional = {path for text in node.scripts.values() for path in ASKED_FOR.findall(text)}
        conditional |= {"/etc/jeroboam/node-agent", "/etc/jeroboam/cloud-credential"}
        assert called - conditional <= node.files.keys(), node.name


def test_agent_and_its_secrets_are_there_with_tls_only(driver: Driver, nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        tls = "JB_TLS=true" in node.files["/etc/jeroboam/bay.env"].text
        for name in ("node-agent", "node-secret", "ca.pem", "install-certificates"):
            assert (f"/etc/jeroboam/{name}" in node.files) == tls, (node.name, name)
        assert ("jeroboam-agent.timer" in node.units) == tls, node.name
        given = tls and "/etc/jeroboam/cloud-credential" in node.files
        assert ("/etc/jeroboam/take-credential" in node.files) == given, node.name
    assert any("JB_TLS=true" in node.files["/etc/jeroboam/bay.env"].text for node in nodes) == (
        True in driver.support.tls
    )


def test_no_payload_file_is_left_out() -> None:
    """What no bay of the cases gets was checked by nobody."""
    sent = set()
    for driver in registry.DRIVERS:
        for node in nodes_of(driver):
            texts = (*node.parts.values(), *(file.text for file in node.files.values()), *node.units.values())
            sent |= {text.rstrip("\n") for text in texts}
    sources = Path(shared.drivers.__path__[0])
    written = [path for path in sources.rglob("payload/*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    unsent = [str(path.relative_to(sources)) for path in written if path.read_text().rstrip("\n") not in sent]
    assert unsent == []
