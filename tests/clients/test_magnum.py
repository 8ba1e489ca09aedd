"""The `magnum` command of 2016 (2.0.0) and the last one with `bay-*` and `baymodel-*` (3.7.0).

2.0.0 sends no microversion and shows of an error only status and request id; 3.7.0 asks for the latest and shows the
server's sentence up to its first full stop. Both end failed deletes with exit code 0.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import IMAGES, needs_driver
from tests.clients.support.shell import Clients

MODEL = "--image-id fedora-21-atomic-5 --keypair-id testkey --external-network-id public --flavor-id m1.small"
KUBERNETES = f"{MODEL} --coe kubernetes --network-driver flannel"


@pytest.fixture(scope="module", params=["m200", "m370"])
def client(request: pytest.FixtureRequest) -> str:
    """Which client."""
    return str(request.param)


@pytest.fixture(scope="module")
def bay(client: str, clients: Clients, cloud: Cloud) -> Iterator[str]:
    """The name of a bay that this client has made, of the baymodel NAME-model; others may have resized it."""
    name = f"{client}-bay"
    clients.ok(client, f"magnum baymodel-create --name {name}-model {KUBERNETES}")
    clients.ok(client, f"magnum bay-create --name {name} --baymodel {name}-model --node-count 1 --timeout 15")
    assert cloud.settled(name) == "CREATE_COMPLETE"
    yield name
    cloud.remove(name)


def test_a_baymodel_from_create_to_delete(client: str, clients: Clients) -> None:
    name = f"{client}-passing"
    more = "--docker-volume-size 5 --labels flannel_backend=vxlan,etcd_note=a --dns-nameserver 8.8.4.4"
    made = clients.ok(client, f"magnum baymodel-create --name {name} {KUBERNETES} {more}").fields
    assert literal_eval(made["labels"]) == {"flannel_backend": "vxlan", "etcd_note": "a"}
    assert (made["docker_volume_size"], made["dns_nameserver"], made["tls_disabled"]) == ("5", "8.8.4.4", "False")
    assert name in {row["name"] for row in clients.ok(client, "magnum baymodel-list").rows}

    changed = clients.ok(client, f"magnum baymodel-update {name} replace docker_volume_size=7 tls_disabled=true").fields
    assert (changed["docker_volume_size"], changed["tls_disabled"]) == ("7", "True")
    assert "'z': '1'" in clients.ok(client, f"magnum baymodel-update {name} add labels/z=1").fields["labels"]
    assert "'z'" not in clients.ok(client, f"magnum baymodel-update {name} remove labels/z").fields["labels"]
    assert clients.ok(client, f"magnum baymodel-show {made['uuid']}").fields["name"] == name

    assert "failed" not in clients.ok(client, f"magnum baymodel-delete {name}").out
    assert clients.run(client, f"magnum baymodel-show {name}").code == 1


def test_a_bay_is_listed_and_shown(client: str, bay: str, clients: Clients) -> None:
    row = next(row for row in clients.ok(client, "magnum bay-list").rows if row["name"] == bay)
    assert row["master_count"] == "1"
    shown = clients.ok(client, f"magnum bay-show {bay}").fields
    assert shown["uuid"] == row["uuid"]
    assert re.fullmatch(r"https://127\.[\d.]+:6443", shown["api_address"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", shown["created_at"])
    assert shown["bay_create_timeout"] == "15"
    assert clients.ok(client, f"magnum bay-show {row['uuid']}").fields["name"] == bay


def test_a_bay_grows_and_shrinks(client: str, bay: str, clients: Clients, cloud: Cloud) -> None:
    for number in (3, 1):
        clients.ok(client, f"magnum bay-update {bay} replace node_count={number}")
        assert cloud.settled(bay) == "UPDATE_COMPLETE"
        shown = clients.ok(client, f"magnum bay-show {bay}").fields
        assert shown["node_count"] == str(number)
        assert shown["node_addresses"].count("127.") == number
    clients.ok(client, f"magnum bay-update {bay} remove node_count")
    assert clients.ok(client, f"magnum bay-show {bay}").fields["node_count"] == "1"
    cloud.settled(bay)


def test_a_bay_ends(client: str, bay: str, clients: Clients, cloud: Cloud) -> None:
    name = f"{client}-passing"
    clients.ok(client, f"magnum bay-create --name {name} --baymodel {bay}-model")
    assert clients.ok(client, f"magnum bay-show {name}").fields["status"].startswith("CREATE_")
    assert "failed" not in clients.ok(client, f"magnum bay-delete {name}").out
    assert cloud.settled(name) == ""
    assert name not in clients.ok(client, "magnum bay-list").out


def test_certificates(client: str, bay: str, clients: Clients, folder: Path) -> None:
    (folder / "a.csr").write_text(new_key_and_csr("admin", "system:masters").csr_pem)
    authority = clients.ok(client, f"magnum ca-show --bay {bay}").out
    signed = clients.ok(client, f"magnum ca-sign --csr a.csr --bay {bay}", folder=folder).out
    verify_chain(signed, authority)


def test_the_services_are_an_administrator_s(client: str, clients: Clients) -> None:
    rows = clients.ok(client, "magnum service-list", user="admin").rows
    assert {"id", "host", "binary"} <= set(rows[0])
    assert {row["state"] for row in rows} == {"up"}
    refused = clients.run(client, "magnum service-list")
    assert (refused.code, "HTTP 403" in refused.all) == (1, True), str(refused)


REFUSED = [
    ("bay-show nope", 1, 404, "nope could not be found"),
    ("bay-update {bay} replace name=other", 1, 400, r"cannot change \w+ property\(ies\) name"),
    ("bay-update {bay} replace node_count=0", 1, 400, "node_count"),
    ("bay-update nope replace node_count=2", 1, 404, "nope could not be found"),
    ("bay-create --name x --baymodel nope", 1, 404, "nope could not be found"),
    ("ca-show --bay nope", 1, 404, "nope could not be found"),
    ("baymodel-show nope", 1, 404, "nope could not be found"),
    (f"baymodel-create --name x {MODEL} --coe rocket", 1, 400, "coe|COE"),
    (f"baymodel-create --name x {KUBERNETES} --flavor-id huge", 1, 400, "Unable to find flavor huge"),
    (f"baymodel-create --name x {KUBERNETES} --image-id none", 1, 400, "Image none could not be found"),
    (f"baymodel-create --name x {KUBERNETES} --volume-driver rexray", 1, 400, "Volume driver type rexray"),
    ("baymodel-update {bay}-model replace docker_volume_size=9", 1, 400, "is referenced by one or multiple"),
    # These two end well and print that they did not.
    ("baymodel-delete {bay}-model", 0, 400, "is referenced by one or multiple"),
    ("bay-delete nope", 0, 404, "nope could not be found"),
]


@pytest.mark.parametrize(("command", "code", "status", "sentence"), REFUSED, ids=[each[0] for each in REFUSED])
def test_refusals(client: str, bay: str, clients: Clients, command: str, code: int, status: int, sentence: str) -> None:
    said = clients.run(client, f"magnum {command.format(bay=bay)}")
    assert (said.code, f"(HTTP {status})" in said.all) == (code, True), str(said)
    assert re.search(r"Request-ID: req-[0-9a-f-]{36}", said.all), str(said)
    if client != "m200":
        assert re.search(sentence, said.all), str(said)


def test_a_key_pair_that_is_gone_is_told_of_by_the_bay(client: str, clients: Clients) -> None:
    """The baymodel is made all the same (contract §2.5); the bay is not. 2.0.0 prints that it failed and exits 0."""
    name = f"{client}-keyless"
    clients.ok(client, f"magnum baymodel-create --name {name} {KUBERNETES} --keypair-id gone")
    said = clients.run(client, f"magnum bay-create --name {name} --baymodel {name}")
    assert "HTTP 404" in said.all, str(said)
    clients.ok(client, f"magnum baymodel-delete {name}")


@pytest.mark.parametrize("client", ["m370"], indirect=True, scope="module")
def test_what_only_the_later_client_asks(client: str, bay: str, clients: Clients, cloud: Cloud) -> None:
    listed = clients.ok(client, "magnum bay-list --limit 1 --sort-key name --sort-dir desc --fields stack_id,labels")
    assert len(listed.rows) == 1
    assert {"Stack Id", "Labels"} <= set(listed.rows[0])
    assert clients.ok(client, f"magnum cluster-show {bay}").fields["name"] == bay
    assert bay in clients.ok(client, "magnum cluster-list").out
    quota = clients.ok(client, f"magnum quotas-show --project-id {cloud.project()} --resource Cluster").fields
    assert quota["hard_limit"] == "20"
    stats = clients.ok(client, f"magnum stats-list --project-id {cloud.project()}").fields
    assert int(stats["nodes"]) > int(stats["clusters"]) > 0


@pytest.mark.parametrize("coe", ["kubernetes", "swarm", "mesos"])
def test_bay_config(coe: str, clients: Clients, cloud: Cloud, folder: Path) -> None:
    """What one gets into one's shell and one's folder (3.7.0; 2.0.0 has no such command)."""
    needs_driver(coe, f"bay-config of {coe}")
    model = cloud.template(f"config-{coe}", coe=coe, image_id=IMAGES[coe], network_driver=None)
    bay = cloud.bay(f"config-{coe}", model)
    address = cloud.show(bay)["api_address"]
    said = clients.ok("m370", f"magnum bay-config config-{coe} --dir {folder}").out.strip()
    again = clients.run("m370", f"magnum bay-config config-{coe} --dir {folder}")
    match coe:
        case "kubernetes":
            assert said.splitlines()[-1] == f"export KUBECONFIG={folder}/config"
            server = yaml.safe_load((folder / "config").read_text())["clusters"][0]["cluster"]["server"]
            assert server == address
            assert again.code == 1
            assert "exists, aborting" in again.all
        case "swarm":
            assert address.startswith("tcp://")
            wanted = {f"export DOCKER_HOST={address}", f"export DOCKER_CERT_PATH={folder}"}
            assert wanted < set(said.splitlines())
        case _:
            assert said.splitlines()[-1] == "None"
    verify_chain((folder / "cert.pem").read_text(), (folder / "ca.pem").read_text())
    assert (folder / "key.pem").read_text().startswith("-----BEGIN RSA PRIVATE " + "KEY-----")
    cloud.remove(bay)


def test_a_resize_that_fails_is_taken_back(clients: Clients, cloud: Cloud) -> None:
    """`--rollback` (3.7.0): the second node does not boot, and the bay is what it was."""
    model = cloud.template("rollback-model")
    bay = cloud.bay("rollback", model)
    broken = {"effect": "fail", "type": "OS::Nova::Server", "reason": "No valid host was found.", "times": 1}
    cloud.control("/heat/behaviours", "POST", broken)
    try:
        clients.ok("m370", "magnum bay-update --rollback rollback replace node_count=2")
        assert cloud.settled(bay) in {"UPDATE_FAILED", "ROLLBACK_COMPLETE"}
    finally:
        cloud.control("/heat/behaviours", "DELETE")
    shown = clients.ok("m370", "magnum bay-show rollback").fields
    assert (shown["node_count"], shown["node_addresses"].count("127.")) == ("1", 1)
    assert "No valid host was found" in shown["status_reason"]
    cloud.remove(bay)
