"""`openstack coe …` of python-magnumclient 4.11.0 (`update … op path=value`) and 5.0.0 (`update … --option value`).

Both send `container-infra latest`. They show an error's sentence up to its first full stop; deleting a template and
the quota commands print that they failed and end well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import IMAGES, needs_driver
from tests.clients.support.shell import Clients

TEMPLATE = "--coe kubernetes --image fedora-21-atomic-5 --external-network public --flavor m1.small"


@pytest.fixture(scope="module", params=["m411", "v500"])
def client(request: pytest.FixtureRequest) -> str:
    """Which client."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(client: str, clients: Clients, cloud: Cloud) -> Iterator[str]:
    """The name of a cluster that this client has made, of the template NAME-template; others may have resized it."""
    name = f"{client}-cluster"
    more = "--keypair testkey --labels flannel_backend=vxlan"
    clients.ok(client, f"openstack coe cluster template create {name}-template {TEMPLATE} {more}")
    said = clients.ok(client, f"openstack coe cluster create {name} --cluster-template {name}-template --node-count 1")
    assert re.search(r"Request to create cluster [0-9a-f-]{36} accepted", said.out)
    assert cloud.settled(name) == "CREATE_COMPLETE"
    yield name
    cloud.remove(name)


def changed(client: str, what: str, **values: object) -> str:
    """The words that set these attributes, in either client's grammar."""
    if client == "m411":
        return f"{what} replace " + " ".join(f"{name}={value}" for name, value in values.items())
    options = {"min_node_count": "min-nodes", "max_node_count": "max-nodes"}
    words = [f"--{options.get(name, name.replace('_', '-'))} {value}" for name, value in values.items()]
    return f"{what} " + " ".join(words)


def test_a_template_from_create_to_delete(client: str, clients: Clients, cloud: Cloud) -> None:
    name, coe = f"{client}-passing", "openstack coe cluster template"
    more = "--labels a=1,b=2 --tags x,y --docker-volume-size 5 --master-lb-enabled --floating-ip-disabled"
    assert "accepted" in clients.ok(client, f"{coe} create {name} {TEMPLATE} {more}").out
    shown = clients.ok(client, f"{coe} show {name}").fields
    assert (shown["name"], shown["coe"], shown["keypair_id"]) == (name, "kubernetes", "-")
    assert (shown["master_lb_enabled"], shown["floating_ip_enabled"], shown["hidden"]) == ("True", "False", "False")
    assert shown["labels"] == "{'a': '1', 'b': '2'}"
    row = next(row for row in clients.ok(client, f"{coe} list").rows if row["name"] == name)
    assert (row["uuid"], set(row["tags"].split(","))) == (shown["uuid"], {"x", "y"})  # the client shuffles them

    clients.ok(client, f"{coe} update {changed(client, name, docker_volume_size=7, dns_nameserver='8.8.4.4')}")
    labels = f"{name} replace labels=a=3" if client == "m411" else f"{name} --label a=3 --no-label b"
    shown = clients.ok(client, f"{coe} update {labels}").fields
    assert (shown["docker_volume_size"], shown["dns_nameserver"]) == ("7", "8.8.4.4")
    assert shown["labels"] == "{'a': '3'}"

    assert "accepted" in clients.ok(client, f"{coe} delete {name}").out
    assert cloud.call("GET", f"/clustertemplates/{name}").status_code == 404


def test_a_cluster_is_listed_and_shown(client: str, cluster: str, clients: Clients) -> None:
    row = next(row for row in clients.ok(client, "openstack coe cluster list").rows if row["name"] == cluster)
    assert {"uuid", "keypair", "node_count", "master_count", "status", "health_status"} <= set(row)
    assert (row["keypair"], row["master_count"]) == ("testkey", "1")
    shown = clients.ok(client, f"openstack coe cluster show {cluster}").fields
    assert (shown["uuid"], shown["create_timeout"]) == (row["uuid"], "60")
    assert shown["labels"] == "{'flannel_backend': 'vxlan'}"
    assert shown["api_address"].startswith("https://127.")
    assert shown.get("stack_id", "") == ""  # not from 1.13 on
    if client == "v500":  # the other does not know the word that came in its place
        assert re.fullmatch(r"[0-9a-f-]{36}", shown["cluster_id"])


def test_a_cluster_changes_size_both_ways(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    clients.ok(client, f"openstack coe cluster update {changed(client, cluster, node_count=3)}")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert cloud.show(cluster)["node_count"] == 3
    leaving = _worker(cloud, cluster)
    clients.ok(client, f"openstack coe cluster resize {cluster} 2 --nodes-to-remove {leaving}")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    servers = {server["id"] for server in cloud.control("/state?kind=server")["records"]["server"]}
    assert leaving not in servers
    clients.ok(client, f"openstack coe cluster resize {cluster} 1 --nodegroup default-worker")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert cloud.show(cluster)["node_count"] == 1


def test_a_cluster_without_nodes(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    """From 1.10 a group may be empty."""
    clients.ok(client, f"openstack coe cluster resize {cluster} 0")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert cloud.show(cluster)["node_addresses"] == []
    clients.ok(client, f"openstack coe cluster resize {cluster} 1")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"


def test_a_cluster_ends(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    name = f"{client}-passing"
    more = "--labels flannel_backend=udp --merge-labels --timeout 30 --master-flavor m1.medium"
    clients.ok(client, f"openstack coe cluster create {name} --cluster-template {cluster}-template {more}")
    shown = clients.ok(client, f"openstack coe cluster show {name}").fields
    assert shown["labels_overridden"] == "{'flannel_backend': 'vxlan'}"
    assert (shown["create_timeout"], shown["master_flavor_id"]) == ("30", "m1.medium")
    assert "accepted" in clients.ok(client, f"openstack coe ca rotate {name}").out  # it waits until the cluster stands
    assert "accepted" in clients.ok(client, f"openstack coe cluster delete {name}").out
    assert cloud.settled(name) == ""


def test_certificates(client: str, cluster: str, clients: Clients, folder: Path) -> None:
    (folder / "a.csr").write_text(new_key_and_csr("admin", "system:masters").csr_pem)
    authority = clients.ok(client, f"openstack coe ca show {cluster}").out
    signed = clients.ok(client, f"openstack coe ca sign {cluster} a.csr", folder=folder).out
    verify_chain(signed, authority)


def test_nodegroups(client: str, cluster: str, clients: Clients) -> None:
    coe = "openstack coe nodegroup"
    rows = {row["name"]: row for row in clients.ok(client, f"{coe} list {cluster}").rows}
    assert {name: row["role"] for name, row in rows.items()} == {"default-master": "master", "default-worker": "worker"}
    workers = clients.ok(client, f"{coe} list {cluster} --role worker").rows
    assert [row["name"] for row in workers] == ["default-worker"]
    shown = clients.ok(client, f"{coe} show {cluster} default-worker").fields
    assert (shown["uuid"], shown["is_default"]) == (rows["default-worker"]["uuid"], "True")

    limits = changed(client, f"{cluster} default-worker", min_node_count=1, max_node_count=5)
    assert "accepted" in clients.ok(client, f"{coe} update {limits}").out
    outside = clients.run(client, f"openstack coe cluster resize {cluster} 6")
    assert "outside the allowed range: min_node_count = 1, max_node_count = 5" in outside.all, str(outside)
    clients.ok(client, f"{coe} update {changed(client, f'{cluster} default-worker', min_node_count=0)}")


def test_a_nodegroup_comes_and_goes(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    coe = "openstack coe nodegroup"
    made = clients.ok(client, f"{coe} create {cluster} more --node-count 1 --flavor m1.medium --role batch")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    shown = clients.ok(client, f"{coe} show {cluster} more").fields
    assert (shown["status"], shown["flavor_id"], shown["role"]) == ("CREATE_COMPLETE", "m1.medium", "batch"), str(made)
    clients.ok(client, f"openstack coe cluster resize {cluster} 2 --nodegroup more")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert clients.ok(client, f"{coe} show {cluster} more").fields["node_count"] == "2"
    clients.ok(client, f"{coe} delete {cluster} more")
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert "more" not in {row["name"] for row in clients.ok(client, f"{coe} list {cluster}").rows}


def test_quotas(client: str, clients: Clients, cloud: Cloud) -> None:
    """An administrator's; everybody may look at the own one."""
    coe, which = "openstack coe quotas", f"--project-id {cloud.project('alt')} --resource Cluster"
    assert clients.ok(client, f"{coe} show {which}", user="alt").fields["hard_limit"] == "20"
    assert clients.ok(client, f"{coe} create {which} --hard-limit 3", user="admin").fields["hard_limit"] == "3"
    again = clients.run(client, f"{coe} create {which} --hard-limit 3", user="admin")
    assert "failed" in again.out, str(again)
    updated = clients.ok(client, f"{coe} update {which} --hard-limit 4", user="admin").fields
    assert (updated["hard_limit"], updated["project_id"]) == ("4", cloud.project("alt"))
    rows = clients.ok(client, f"{coe} list --all-tenants", user="admin").rows
    assert cloud.project("alt") in {row["project_id"] for row in rows}
    foreign = clients.run(client, f"{coe} show {which}", user="demo")
    assert (foreign.code, "HTTP 403" in foreign.all) == (1, True), str(foreign)
    assert "accepted" in clients.ok(client, f"{coe} delete {which}", user="admin").out


def test_stats_and_services(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    stats = clients.ok(client, f"openstack coe stats list {cloud.project()}").fields
    assert int(stats["nodes"]) > int(stats["clusters"]) > 0
    rows = clients.ok(client, "openstack coe service list", user="admin").rows
    assert {row["state"] for row in rows} == {"up"}


@pytest.mark.parametrize("coe", ["kubernetes", "swarm", "mesos"])
def test_config(coe: str, client: str, cluster: str, clients: Clients, cloud: Cloud, folder: Path) -> None:
    needs_driver(coe, f"coe cluster config of {coe}")
    name = cluster
    if coe != "kubernetes":
        name = f"{client}-{coe}"
        cloud.bay(name, cloud.template(name, coe=coe, image_id=IMAGES[coe], network_driver=None))
    address = cloud.show(name)["api_address"]
    said = clients.ok(client, f"openstack coe cluster config {name} --dir {folder} --output-certs").out.strip()
    verify_chain((folder / "cert.pem").read_text(), (folder / "ca.pem").read_text())
    match coe:
        case "kubernetes":
            assert said == f"export KUBECONFIG={folder}/config"
            config = yaml.safe_load((folder / "config").read_text())
            assert config["clusters"][0]["cluster"]["server"] == address
            assert {"client-certificate-data", "client-key-data"} == set(config["users"][0]["user"])
            clients.ok(client, f"openstack coe cluster config {name} --dir {folder} --force --use-keystone")
            assert "exec" in yaml.safe_load((folder / "config").read_text())["users"][0]["user"]
        case "swarm":
            assert address.startswith("tcp://")
            assert f"export DOCKER_HOST={address}" in said.splitlines()
        case _:
            assert said == "None"


REFUSED = [
    ("cluster show nope", 1, "nope could not be found"),
    ("cluster delete nope", 1, "nope could not be found"),
    ("cluster create x --cluster-template nope", 1, r"nope could not be found \(HTTP 404\)"),
    ("cluster create x --cluster-template {cluster}-template --flavor huge", 1, "Unable to find flavor huge"),
    ("cluster create x --cluster-template {cluster}-template --keypair gone", 1, "Unable to find keypair gone"),
    ("cluster create 1a --cluster-template {cluster}-template", 1, "Invalid input for field/attribute name"),
    ("cluster create x --cluster-template {cluster}-template --master-count 2", 1, "HTTP 400"),
    (f"cluster template create x {TEMPLATE} --network-driver docker", 1, "Network driver type docker"),
    ("cluster template delete {cluster}-template", 0, "failed.*is referenced by one or multiple"),
    ("ca show nope", 1, "nope could not be found"),
    ("nodegroup delete {cluster} default-worker", 1, "Deleting a default nodegroup is not supported"),
    ("nodegroup show {cluster} nope", 1, "nope could not be found"),
    ("credential rotate {cluster}", 0, "there is no credential to rotate"),
    ("service list", 1, "Policy doesn't allow magnum-service:get_all to be performed"),
    ("quotas list --all-tenants", 1, "HTTP 403"),
]


@pytest.mark.parametrize("client", ["v500"], indirect=True, scope="module")
@pytest.mark.parametrize(("command", "code", "sentence"), REFUSED, ids=[each[0] for each in REFUSED])
def test_refusals(client: str, cluster: str, clients: Clients, command: str, code: int, sentence: str) -> None:
    said = clients.run(client, f"openstack coe {command.format(cluster=cluster)}")
    assert said.code == code, str(said)
    assert re.search(sentence, said.all, re.DOTALL), str(said)


@pytest.mark.parametrize("client", ["v500"], indirect=True, scope="module")
def test_a_cluster_is_upgraded(client: str, cluster: str, clients: Clients, cloud: Cloud) -> None:
    """To its own template: all workers are made anew."""
    leaving = _worker(cloud, cluster)
    said = clients.ok(client, f"openstack coe cluster upgrade {cluster} {cluster}-template --nodegroup default-worker")
    assert "accepted" in said.all, str(said)
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    assert leaving not in {server["id"] for server in cloud.control("/state?kind=server")["records"]["server"]}


OPTIONS_OF_500 = [
    ("--name other", "cannot change cluster property"),
    ("--master-count 3", "cannot change cluster property"),
    ("--label a=1", "cannot change cluster property"),
]


@pytest.mark.parametrize("client", ["v500"], indirect=True, scope="module")
@pytest.mark.parametrize(("options", "sentence"), OPTIONS_OF_500)
def test_a_cluster_keeps_what_it_was_born_with(
    client: str, cluster: str, clients: Clients, options: str, sentence: str
) -> None:
    said = clients.run(client, f"openstack coe cluster update {cluster} {options}")
    assert (said.code, sentence in said.all) == (1, True), str(said)


def _worker(cloud: Cloud, cluster: str) -> str:
    """The Nova id of a worker of this cluster, by an address of it that the API shows."""
    address = cloud.show(cluster)["node_addresses"][0]
    ports = {
        ip["floating_ip_address"]: ip["port_id"]
        for ip in cloud.control("/state?kind=floatingip")["records"]["floatingip"]
    }
    by_port = {port["id"]: port["device_id"] for port in cloud.control("/state?kind=port")["records"]["port"]}
    return str(by_port[ports[address]])
