"""The commands of the user guide's page on TLS, run as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from shared.pki_client import describe
from tests.clients.support.cloud import Cloud
from tests.clients.support.shell import Clients, Said
from tests.native import servers

PAGE = (Path(__file__).parents[2] / "docs" / "user-guide" / "tls.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The command blocks below a heading, up to the next one."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def followed(clients: Clients, heading: str, folder: Path) -> Said:
    """What the blocks of a section say, one after the other, about a bay of ours."""
    text = "".join(blocks(heading)).replace("k8sbay", "pods")
    said = clients.script("v500", f"export KUBECONFIG={folder}/config\n{text}", folder=folder)
    assert said.code == 0, str(said)
    return said


def test_a_certificate_by_hand(clients: Clients, cloud: Cloud, bays: dict[str, str], folder: Path) -> None:
    """openssl and the stock client make files that kubectl takes."""
    servers.needed("kubectl")
    said = followed(clients, "By hand", folder)
    assert "cert.pem: OK" in said.out
    host = bays["pods"].removeprefix("https://").partition(":")[0]
    with servers.kubernetes(bays["pods"], servers.papers(cloud, "pods", folder, host)):
        used = clients.script("v500", f"kubectl --kubeconfig {folder}/config --context pods get nodes")
    assert "pods-node-0" in used.out, str(used)


def test_a_colleague_s_certificate(clients: Clients, folder: Path) -> None:
    """Of a bay whose engine has roles."""
    if shutil.which("jq") is None:
        pytest.skip("NOT RUN: native: the guide's commands (jq is not installed)")
    text = "".join(blocks("A colleague needs access")).replace("k8sbay", "roles")
    said = clients.script("v500", text, folder=folder)
    assert said.code == 0, str(said)
    facts = describe((folder / "cert.pem").read_text())
    assert facts.subject == "CN=reader,O=jeroboam:readers"
    assert 71 < (facts.not_after - facts.not_before).total_seconds() / 3600 < 97
