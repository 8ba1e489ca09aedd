"""Real docker with what the commands write, at a real dockerd with `--tlsverify`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.cloud import Cloud
from tests.clients.support.shell import Clients
from tests.native import servers
from tests.native.people import Person

INFO = "docker info --format '{{.Driver}} {{.Swarm.LocalNodeState}}'"
ANSWER = "vfs inactive"


def may_run_dockerd() -> None:
    """Skip, with a line that `make test` repeats at its end, where it cannot be run."""
    servers.needed("docker")
    servers.needed("dockerd")
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: native: dockerd (it needs root)")


@pytest.fixture(scope="module")
def server(cloud: Cloud, bays: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    may_run_dockerd()
    folder = Path("/tmp") / f"jb-docker-{os.getpid()}"  # its sockets need a short name
    folder.mkdir()
    host = bays["swarm"].removeprefix("tcp://").partition(":")[0]
    try:
        own = servers.papers(cloud, "swarm", tmp_path_factory.mktemp("own"), host)
        with servers.docker(bays["swarm"], own, folder):
            yield bays["swarm"]
    finally:
        servers.remove(folder)


def test_docker_with_our_command(person: Person, server: str, folder: Path) -> None:
    said = person.ok(f'eval "$(jeroboam bay config swarm --dir {folder})"; {INFO}; docker ps')
    assert ANSWER in said.out
    assert "CONTAINER ID" in said.out


@pytest.mark.parametrize(
    ("client", "command"),
    [("v500", "openstack coe cluster config swarm --output-certs"), ("m370", "magnum bay-config swarm")],
)
def test_docker_with_the_stock_clients(clients: Clients, server: str, folder: Path, client: str, command: str) -> None:
    said = clients.script(client, f'eval "$({command} --dir {folder} | grep ^export)"; {INFO}')
    assert said.code == 0, str(said)
    assert ANSWER in said.out


def test_another_bay_s_certificate_is_refused(person: Person, server: str, folder: Path) -> None:
    for bay in ("swarm", "other-swarm"):
        assert person.config(f"{bay} --dir {folder}/{bay}").code == 0
    foreign = f"--tlscert {folder}/other-swarm/cert.pem --tlskey {folder}/other-swarm/key.pem"
    refused = person.run(f"docker --host {server} --tlsverify --tlscacert {folder}/swarm/ca.pem {foreign} version")
    assert refused.code != 0
    assert "unknown certificate authority" in refused.all or "bad certificate" in refused.all
    mistaken = person.run(f"DOCKER_CERT_PATH={folder}/other-swarm docker --host {server} --tlsverify version")
    assert mistaken.code != 0
    assert "unknown authority" in mistaken.all


def test_no_certificate_is_refused(person: Person, server: str, folder: Path) -> None:
    assert person.config(f"swarm --dir {folder}").code == 0
    (folder / "cert.pem").unlink()
    (folder / "key.pem").unlink()
    refused = person.run(
        f"DOCKER_CERT_PATH={folder} docker --host {server} --tlsverify --tlscacert {folder}/ca.pem version"
    )
    assert refused.code != 0
    plain = person.run(
        f"curl --tls-max 1.2 --silent --show-error --cacert {folder}/ca.pem https://{server.removeprefix('tcp://')}/version"
    )
    assert plain.code != 0
    assert "certificate required" in plain.all or "bad certificate" in plain.all
