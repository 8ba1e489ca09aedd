"""openstacksdk 4.22.0: its proxies and its cloud layer, each act in a process of the SDK's own environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.support.cloud import Cloud
from tests.clients.support.shell import Clients

ACTS = Path(__file__).with_name("sdk_acts.py")


@pytest.fixture(scope="module")
def shared(cloud: Cloud) -> Iterator[str]:
    """A cluster called `sdk-shared`."""
    uuid = cloud.bay("sdk-shared", cloud.template("sdk-shared"))
    yield uuid
    cloud.remove(uuid)


@pytest.mark.parametrize(
    ("act", "user"),
    [
        ("templates", "demo"),
        ("clusters", "demo"),
        ("services", "admin"),
        ("services_refused", "demo"),
        ("refusals", "demo"),
    ],
)
def test_acts(act: str, user: str, clients: Clients) -> None:
    clients.ok("sdk", f"python {ACTS} {act}", user=user)


def test_certificates(clients: Clients, shared: str, folder: Path) -> None:
    (folder / "a.csr").write_text(new_key_and_csr("admin", "system:masters").csr_pem)
    authority, certificate = clients.ok("sdk", f"python {ACTS} certificates", folder=folder).out.split("=====")
    verify_chain(certificate, authority)


def test_resize(clients: Clients, shared: str) -> None:
    clients.ok("sdk", f"python {ACTS} resize_needs_a_version")
