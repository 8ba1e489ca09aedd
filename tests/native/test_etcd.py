"""A real etcd that demands certificates of the bay's etcd authority, and etcdctl with what the command writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.cloud import Cloud
from tests.native import servers
from tests.native.people import Person

CURL = "curl --silent --show-error --tls-max 1.2"
"""Since TLS 1.3 a client has sent its request before it hears that its certificate is refused, and may not hear why."""


@pytest.fixture(scope="module")
def server(cloud: Cloud, bays: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    servers.needed("etcdctl")
    folder = tmp_path_factory.mktemp("etcd")
    with servers.etcd(servers.papers(cloud, "pods", folder, "127.0.0.1", "etcd"), folder) as url:
        yield url


@pytest.fixture
def etcdctl() -> str:
    return servers.needed("etcdctl")


def test_etcdctl_with_our_command(person: Person, server: str, etcdctl: str, folder: Path) -> None:
    said = person.ok(
        f'eval "$(jeroboam bay config pods --etcd --dir {folder})"; {etcdctl} --endpoints {server} put greeting hello'
    )
    assert said.out.strip() == "OK"
    files = f"--cacert {folder}/ca.pem --cert {folder}/cert.pem --key {folder}/key.pem"
    read = person.ok(f"ETCDCTL_API=3 {etcdctl} --endpoints {server} {files} get greeting --print-value-only")
    assert read.out.strip() == "hello"


@pytest.mark.parametrize(
    ("options", "who"),
    [("pods --pem", "the bay's own other authority"), ("other-pods --etcd", "another bay's etcd authority")],
)
def test_others_are_refused(person: Person, server: str, folder: Path, options: str, who: str) -> None:
    assert person.config(f"pods --etcd --dir {folder}/right").code == 0
    assert person.config(f"{options} --dir {folder}/wrong").code == 0
    curl = f"{CURL} --cacert {folder}/right/ca.pem"
    asked = '{"key": "Z3JlZXRpbmc="}'
    good = person.ok(
        f"{curl} --cert {folder}/right/cert.pem --key {folder}/right/key.pem {server}/v3/kv/range -d '{asked}'"
    )
    assert "revision" in good.out
    refused = person.run(
        f"{curl} --cert {folder}/wrong/cert.pem --key {folder}/wrong/key.pem {server}/v3/kv/range -d '{asked}'"
    )
    assert refused.code != 0, who
    assert "unknown ca" in refused.all or "bad certificate" in refused.all


def test_no_certificate_is_refused(person: Person, server: str, folder: Path) -> None:
    assert person.config(f"pods --etcd --dir {folder}").code == 0
    refused = person.run(f"{CURL} --cacert {folder}/ca.pem {server}/version")
    assert refused.code != 0
    assert "certificate required" in refused.all or "bad certificate" in refused.all
