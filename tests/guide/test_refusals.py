"""Bad input is refused at the API, with the field and the reason."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.api.harness import System, detail
from tests.guide.facts import EVERY, Promise, promise
from tests.guide.rehearsed import bare, network, place, rehearsal, rehearsed, template

each_driver = pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)


def test_an_image_without_os_distro(system: System) -> None:
    images = system.control("GET", "/state?kind=image")["records"]["image"]
    names = [one["name"] for one in images if not one.get("os_distro")]
    if not names:
        pytest.skip("NOT RUN: guide: an image without os_distro (the simulated cloud has none)")
    answer = template(system, {**bare(promise("k8s_fedora_atomic")), "image_id": names[0]})
    assert answer.status_code == 400
    assert detail(answer).startswith(f"Image {names[0]} doesn't contain os_distro field.")


@pytest.mark.parametrize(
    ("change", "triple"),
    [
        ({"image_id": "fedora-k8s-ironic"}, "vm, fedora, kubernetes"),
        ({"coe": "mesos", "network_driver": "docker"}, "vm, fedora-atomic, mesos"),
        ({"server_type": "bm"}, "bm, fedora-atomic, kubernetes"),
        ({"coe": "swarm", "image_id": "coreos"}, "vm, coreos, swarm"),
    ],
)
def test_a_pair_that_no_driver_makes(system: System, change: dict[str, object], triple: str) -> None:
    answer = template(system, {**bare(promise("k8s_fedora_atomic")), **change})
    assert (answer.status_code, detail(answer)) == (400, f"Cluster type ({triple}) not supported.")


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"flannel_network_cidr": "10.100.0.1/16"}, "flannel_network_cidr"),
        ({"flannel_network_cidr": "10.100.0.0"}, "flannel_network_cidr"),
        ({"flannel_network_subnetlen": "7"}, "flannel_network_subnetlen"),
        ({"flannel_network_subnetlen": "31"}, "flannel_network_subnetlen"),
        ({"flannel_network_subnetlen": "16"}, "flannel_network_subnetlen"),
        ({"flannel_backend": "gre"}, "flannel_backend"),
    ],
)
@each_driver
def test_a_label_out_of_range(system: System, told: Promise, labels: dict[str, str], field: str) -> None:
    if "flannel" not in told.driver.support.network_drivers:
        return
    body = {**bare(told), **place(system, told), "network_driver": "flannel", "labels": labels}
    answer = rehearsal(system, body)
    assert answer.status_code == 400
    assert field in detail(answer)


@each_driver
def test_containers_in_the_network_that_is_made_for_the_nodes(system: System, told: Promise) -> None:
    """10.0.0.0/24, unless a label says another."""
    if "flannel" not in told.driver.support.network_drivers or "new" not in told.driver.support.networks:
        return
    body = {**bare(told), "network_driver": "flannel"}
    for labels in (
        {"flannel_network_cidr": "10.0.0.0/16"},
        {"flannel_network_cidr": "10.30.0.0/16", "fixed_subnet_cidr": "10.30.1.0/24"},
    ):
        answer = rehearsal(system, {**body, "labels": labels})
        assert answer.status_code == 400
        assert "flannel_network_cidr" in detail(answer)
        assert "overlaps" in detail(answer)


@each_driver
@pytest.mark.parametrize("subnet_named", [True, False], ids=["subnet named", "network alone"])
def test_containers_in_an_existing_network(system: System, told: Promise, subnet_named: bool) -> None:
    """Neutron knows what addresses the named network has."""
    if "flannel" not in told.driver.support.network_drivers:
        return
    made, subnet = network(system, "10.100.7.0/24")
    body = {**bare(told), "network_driver": "flannel", "fixed_network": made}
    answer = rehearsal(system, {**body, **({"fixed_subnet": subnet} if subnet_named else {})})
    assert answer.status_code == 400
    assert "flannel_network_cidr" in detail(answer)
    assert "10.100.7.0/24" in detail(answer)


@pytest.mark.parametrize("name", ["swarm_fedora_atomic", "swarm_mode_fedora_atomic"])
def test_nodes_in_the_pool_of_docker_s_ingress(system: System, name: str) -> None:
    """Docker's own pool would be the nodes' 10.0.0.0/24, so it is told another, which is then taken."""
    told = promise(name)
    pool = rehearsed(system, bare(told)).nodes["master"].environment["JB_DOCKER_POOL"]
    assert not IPv4Network(pool).overlaps(IPv4Network("10.0.0.0/8"))
    answer = rehearsal(system, {**bare(told), "labels": {"fixed_subnet_cidr": pool}})
    assert answer.status_code == 400
    assert "nodes' network" in detail(answer)
    assert pool in detail(answer)


def test_containers_in_the_pool_of_docker_s_ingress(system: System) -> None:
    told = promise("swarm_fedora_atomic")
    pool = rehearsed(system, bare(told)).nodes["master"].environment["JB_DOCKER_POOL"]
    body = {**bare(told), "network_driver": "flannel", "labels": {"flannel_network_cidr": pool}}
    answer = rehearsal(system, body)
    assert answer.status_code == 400
    assert "flannel_network_cidr" in detail(answer)
    assert pool in detail(answer)


@each_driver
def test_an_even_number_of_masters(system: System, told: Promise) -> None:
    for count in (2, 4):
        answer = rehearsal(system, {**bare(told), **place(system, told)}, master_count=count)
        assert answer.status_code == 400
        assert "master" in detail(answer)
        assert str(count) in detail(answer)
        assert "even" in detail(answer)
