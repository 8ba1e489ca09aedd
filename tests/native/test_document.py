"""The user guide's page on TLS: its commands by hand, for a colleague and of a rotation, run as they stand there.

Those with `jeroboam bay config` and each engine's client are in the tests beside this one.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
from pathlib import Path

import pytest

from shared.pki_client import describe
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import IMAGES
from tests.clients.support.shell import LIMIT, Clients, Said
from tests.native import servers
from tests.native.people import Person

PAGE = (Path(__file__).parents[2] / "docs" / "user-guide" / "tls.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The command blocks below a heading, up to the next one."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def by_curl(clients: Clients, bay: str, commands: list[str], folder: Path) -> Said:
    """What these commands say about a bay, with the token and the address that the page gets first."""
    text = "".join([*blocks("The API with curl"), *commands]).replace("k8sbay", bay)
    said = clients.script("v500", text, folder=folder)
    assert said.code == 0, str(said)
    return said


def needed_jq() -> None:
    if shutil.which("jq") is None:
        pytest.skip("NOT RUN: native: the guide's commands (jq is not installed)")


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
    needed_jq()
    by_curl(clients, "roles", blocks("A colleague needs access"), folder)
    facts = describe((folder / "cert.pem").read_text())
    assert facts.subject == "CN=reader,O=jeroboam:readers"
    assert 71 < (facts.not_after - facts.not_before).total_seconds() / 3600 < 97


def test_a_rotation_and_its_end_before_its_time(clients: Clients, cloud: Cloud, person: Person, folder: Path) -> None:
    """Of a bay of its own, whose nodes never look: the rotation stays where it is."""
    needed_jq()
    cloud.bay(
        "rotated", cloud.template("rotated", coe="kubernetes", image_id=IMAGES["kubernetes"], network_driver=None)
    )
    rotate, renew, where, undo = blocks("Rotation")
    by_curl(clients, "rotated", [rotate], folder)
    until(cloud, "phase", "trust")
    said = by_curl(clients, "rotated", [where, undo], folder)
    assert '"phase": "trust"' in said.out
    assert '"masters_reached": 0' in said.out
    until(cloud, "undone", True)
    (folder / "config").touch()
    renewed = person.config(f"{shlex.split(renew.replace('k8sbay', 'rotated'))[3]} --force --dir {folder}")
    assert (renewed.code, "KUBECONFIG" in renewed.out) == (0, True), str(renewed)


def until(cloud: Cloud, name: str, value: object) -> None:
    """Wait for what the rotation's document says; processes get there on their own."""
    end = time.monotonic() + LIMIT
    while (seen := cloud.call("GET", "/certificates/rotated/rotation").json()).get(name) != value:
        assert time.monotonic() < end, seen
        time.sleep(0.1)
