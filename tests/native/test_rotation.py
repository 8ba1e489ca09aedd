"""A rotation as clients see it: a server takes old and new certificates until its end, afterwards new ones alone; and a
client that does not know the new authority yet does not take a server's new certificate.

The servers have what nodes have at each time: a certificate that was made then, and the authorities to be trusted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import IMAGES
from tests.native import servers
from tests.native.people import Person
from tests.native.servers import Papers
from tests.native.test_docker import may_run_dockerd
from tests.native.turning import AFTERWARDS, BAYS, BEFORE, MEANWHILE, Turning, turn

PODS, SWARM = BAYS


@pytest.fixture(scope="module")
def turned(stack: LocalStack, cloud: Cloud, person: Person, tmp_path_factory: pytest.TempPathFactory) -> Turning:
    """Both bays rotated to the end."""
    folder, addresses, ids = tmp_path_factory.mktemp("turning"), {}, []
    for bay, coe in ((PODS, "kubernetes"), (SWARM, "swarm")):
        ids.append(cloud.bay(bay, cloud.template(bay, coe=coe, image_id=IMAGES[coe], network_driver=None)))
        addresses[bay] = str(cloud.show(ids[-1])["api_address"])
    found = Turning(cloud, person, folder, addresses)
    turn(found, stack, ids)
    return found


@dataclass(frozen=True)
class Kind:
    """A kind of server: how it is started with some papers, and what a client in a folder of ours says to it."""

    what: str
    start: Callable[[Turning, Papers, Path], AbstractContextManager[object]]
    ask: str
    missing: Callable[[], object]


def _kubernetes(found: Turning, own: Papers, _: Path) -> AbstractContextManager[object]:
    return servers.kubernetes(found.addresses[PODS], own)


def _docker(found: Turning, own: Papers, folder: Path) -> AbstractContextManager[object]:
    return servers.docker(found.addresses[SWARM], own, folder)


def _etcd(_: Turning, own: Papers, folder: Path) -> AbstractContextManager[object]:
    return servers.etcd(own, folder)


KINDS = [
    Kind(PODS, _kubernetes, "kubectl --kubeconfig {config}/config get nodes", lambda: servers.needed("kubectl")),
    Kind(
        SWARM,
        _docker,
        "DOCKER_CERT_PATH={config} docker --host {address} --tlsverify version",
        may_run_dockerd,
    ),
    Kind(
        "etcd",
        _etcd,
        "curl --silent --show-error --fail --tls-max 1.2 --cacert {config}/ca.pem --cert {config}/cert.pem"
        " --key {config}/key.pem {url}/version",
        lambda: servers.needed("etcd"),
    ),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.what)
def test_old_certificates_end_with_the_rotation(turned: Turning, kind: Kind) -> None:
    kind.missing()
    folder = Path(tempfile.mkdtemp(prefix="jb-turn-"))

    def answers(server: object, client: str) -> bool:
        """Whether the client of that time is served; a refusal must be about certificates."""
        command = kind.ask.format(
            config=turned.config(kind.what, client), address=turned.addresses.get(kind.what), url=server
        )
        said = turned.person.run(command)
        assert said.code == 0 or "certificate" in said.all or "unknown ca" in said.all, str(said)
        return said.code == 0

    try:
        for when, welcome in (
            (BEFORE, {BEFORE: True, MEANWHILE: False}),
            (MEANWHILE, {BEFORE: False, MEANWHILE: True}),
            (AFTERWARDS, {BEFORE: False, MEANWHILE: True, AFTERWARDS: True}),
        ):
            with kind.start(turned, turned.own[kind.what, when], folder) as server:
                assert {client: answers(server, client) for client in welcome} == welcome, when
    finally:
        servers.remove(folder)


def test_who_renews_in_the_middle_is_served_throughout(turned: Turning) -> None:
    """Its file has both authorities: it knows a master that has its new certificate already, and one that has not."""
    text = (turned.config(PODS, MEANWHILE) / "ca.pem").read_text()
    assert text.count("BEGIN CERTIFICATE") == 2
    assert (turned.config(PODS, BEFORE) / "ca.pem").read_text() in text
    assert (turned.config(PODS, AFTERWARDS) / "ca.pem").read_text() in text
    mixed = Papers(
        turned.own[PODS, BEFORE].certificate, turned.own[PODS, BEFORE].key, turned.own[PODS, MEANWHILE].authorities
    )
    with servers.kubernetes(turned.addresses[PODS], mixed):
        for client in (BEFORE, MEANWHILE):
            turned.person.ok(f"kubectl --kubeconfig {turned.config(PODS, client)}/config get nodes")
