"""The clients are the ones that they claim to be: their pins, their locks, and the microversion that they ask for."""

from __future__ import annotations

import re

import pytest

from scripts.client_venvs import CLIENTS, LOCKS, USUAL
from tests.clients.support.shell import Clients

PIN = re.compile(r"^[a-z0-9._-]+==[^\s;]+( ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_lock_holds_its_pins_with_hashes_and_nothing_else(client: str) -> None:
    lines = (LOCKS / f"{client}.lock").read_text().splitlines()
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []
    assert set(CLIENTS[client]) <= {line.partition(" ")[0] for line in lines}


@pytest.mark.parametrize("client", USUAL)
def test_what_is_installed_is_what_was_pinned(client: str, clients: Clients) -> None:
    names = [pin.partition("==")[0] for pin in CLIENTS[client]]
    code = f"from importlib.metadata import version; print(*(f'{{name}}=={{version(name)}}' for name in {names}))"
    assert clients.ok(client, f'python -c "{code}"').out.split() == list(CLIENTS[client])


ASKED = [
    ("m200", "magnum --debug bay-list", None),
    ("m370", "magnum --debug bay-list", "container-infra latest"),
    ("m370", "magnum --debug --magnum-api-version 1.5 bay-list", "container-infra 1.5"),
    ("m411", "openstack --debug coe cluster list", "container-infra latest"),
    ("v500", "openstack --debug coe cluster list", "container-infra latest"),
    ("v500", "openstack --debug --os-container-infra-api-version 1.9 coe cluster list", "container-infra 1.9"),
]


@pytest.mark.parametrize(("client", "command", "wanted"), ASKED)
def test_the_microversion_that_a_client_asks_for(
    client: str, command: str, wanted: str | None, clients: Clients
) -> None:
    """Above 1.1 this decides what the server answers: so much for "the same command, the same result"."""
    requests = [line for line in clients.ok(client, command).err.splitlines() if "REQ: curl" in line and "/v1/" in line]
    assert requests
    for request in requests:
        found = re.search(r'-H "OpenStack-API-Version: ([^"]+)"', request)
        assert (found[1] if found else None) == wanted
