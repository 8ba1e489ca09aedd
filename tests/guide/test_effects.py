"""Each attribute that the guide names reaches Heat or the nodes of every driver that supports it."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from shared.contracts.http.baymodels import StorageDriver
from tests.api.harness import System
from tests.guide.facts import EVERY, GUIDE, Promise, promise
from tests.guide.rehearsed import Rehearsed, bare, network, place, rehearsal, rehearsed

each_driver = pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)
PROXIES: Final = {
    "http_proxy": "http://proxy.example.org:3128",
    "https_proxy": "http://proxy.example.org:3129",
    "no_proxy": "10.9.9.9,.example.org",
}


def bay(system: System, told: Promise, **attributes: object) -> Rehearsed:
    return rehearsed(system, {**bare(told), **place(system, told), **attributes})


@each_driver
def test_proxies_are_in_the_environment_of_the_nodes(system: System, told: Promise) -> None:
    for node in bay(system, told, **PROXIES).nodes.values():
        texts = [*node.files.values(), *node.scripts.values()]
        for attribute, value in PROXIES.items():
            variable = GUIDE["environment"][attribute]["variable"]
            assert node.environment[f"JB_{variable}"] == value
            assert any(f"assign {variable} " in text and f"$JB_{variable}" in text for text in texts), variable


@each_driver
def test_the_name_server_is_the_subnet_s(system: System, told: Promise) -> None:
    found = bay(system, told, dns_nameserver="1.1.1.1,9.9.9.9")
    assert found.parameters["dns_nameserver"] == "1.1.1.1,9.9.9.9"
    subnet = found.resource("private_subnet")
    assert subnet["type"] == "OS::Neutron::Subnet"
    assert subnet["properties"]["dns_nameservers"] == {"get_param": "dns_nameserver"}


@each_driver
def test_the_external_network_is_the_router_s(system: System, told: Promise) -> None:
    found = bay(system, told, external_network_id="public")
    assert found.parameters["external_network"]
    gateway = found.resource("extrouter")["properties"]["external_gateway_info"]
    assert gateway == {"network": {"get_param": "external_network"}}


@each_driver
def test_an_existing_network(system: System, told: Promise) -> None:
    """No network is made then; the nodes' ports are on the one that is named."""
    made, subnet = network(system)
    found = rehearsed(system, {**bare(told), "fixed_network": made, "fixed_subnet": subnet})
    assert (found.parameters["fixed_network"], found.parameters["fixed_subnet"]) == (made, subnet)
    assert {"OS::Neutron::Net", "OS::Neutron::Subnet", "OS::Neutron::Router"} & found.answer[
        "resources"
    ].keys() == set()


@each_driver
def test_a_new_network_when_none_is_named(system: System, told: Promise) -> None:
    answer = rehearsal(system, bare(told))
    if "new" in told.driver.support.networks:
        assert answer.json()["resources"]["OS::Neutron::Net"] == 1
    else:
        assert answer.status_code == 400
        assert "fixed_network" in answer.text


@each_driver
def test_flannel_s_labels(system: System, told: Promise) -> None:
    if "flannel" not in told.driver.support.network_drivers:
        return
    for backend in GUIDE["labels"]["flannel_backend"]["values"]:
        wanted = {
            "flannel_network_cidr": "172.20.0.0/15",
            "flannel_network_subnetlen": "26",
            "flannel_backend": backend,
        }
        found = rehearsed(system, {**bare(told), **place(system, told), "network_driver": "flannel", "labels": wanted})
        for node in [node for node in found.nodes.values() if node.flannel]:
            assert node.flannel == {"Network": "172.20.0.0/15", "SubnetLen": 26, "Backend": {"Type": backend}}
        assert found.nodes["master"].flannel, "masters tell the nodes"


@each_driver
def test_a_volume_for_containers(system: System, told: Promise) -> None:
    """One for each node that runs containers, of the size that is asked for."""
    answer = rehearsal(system, {**bare(told), **place(system, told), "docker_volume_size": 7})
    if not told.driver.support.docker_volume:
        assert answer.status_code == 400
        assert "docker_volume_size" in answer.text
        return
    found = answer.json()
    assert found["parameters"]["docker_volume_size"] == "7"
    volumes, size = found["footprint"]["volumes"], found["footprint"]["volume_gb"]
    running = sum("docker" in one.units or "containerd" in one.units for one in Rehearsed(found).nodes.values())
    assert (volumes, size) == (running, 7 * running)


@each_driver
def test_the_storage_driver_reaches_docker(system: System, told: Promise) -> None:
    for name in {*told.driver.support.storage_drivers} & {*get_args(StorageDriver)}:
        worker = bay(system, told, docker_storage_driver=name).nodes["worker"]
        assert "docker" not in worker.units or worker.environment["JB_DOCKER_STORAGE_DRIVER"] == name


@each_driver
def test_a_volume_driver_s_nodes_may_use_the_cloud(system: System, told: Promise) -> None:
    """By the bay's own credential, which no person types in; in the guide's bays nothing else needs one."""
    for name in (None, *told.driver.support.volume_drivers):
        nodes = bay(system, told, volume_driver=name).nodes
        trusted = {role for role, one in nodes.items() if "/etc/jeroboam/cloud-credential" in one.files}
        assert trusted == {role for role, one in nodes.items() if one.environment["JB_CLOUD"] == "true"}
        assert trusted or name is None
        assert not trusted or name is not None or not told.heading


@each_driver
def test_rexray_may_take_volumes_over(system: System, told: Promise) -> None:
    if "rexray" not in told.driver.support.volume_drivers:
        return
    label = GUIDE["labels"]["rexray_preempt"]
    for name in ("rexray_preempt", *label["also_spelled"]):
        for value in label["values"]:
            found = bay(system, told, volume_driver="rexray", labels={name: value})
            assert found.nodes["worker"].environment["JB_REXRAY_PREEMPT"] == value
            assert not any(name in sentence for sentence in found.warnings)


@each_driver
def test_without_tls(system: System, told: Promise) -> None:
    for disabled in (False, True):
        answer = rehearsal(system, {**bare(told), **place(system, told), "tls_disabled": disabled})
        fits = (not disabled) in told.driver.support.tls
        assert answer.status_code == (200 if fits else 400), answer.text[:300]
        if fits:
            nodes = Rehearsed(answer.json()).nodes
            assert {one.environment["JB_TLS"] for one in nodes.values()} == {str(not disabled).lower()}


@each_driver
def test_flavors_key_and_image(system: System, told: Promise) -> None:
    other = "baremetal" if told.driver.key[0] == "bm" else "m1.medium"
    found = bay(system, told, flavor_id=other, master_flavor_id=other)
    assert list(found.parameters.values()).count(other) == 2
    (image,) = [
        one for one in system.control("GET", "/state?kind=image")["records"]["image"] if one["name"] == told.image
    ]
    assert found.parameters["server_image"] == image["id"]


def test_host_gw_on_an_existing_network_is_advised_against(system: System) -> None:
    """The guide only advises, so the bay is accepted with a warning; elsewhere there is none."""
    label = GUIDE["labels"]["flannel_backend"]["advised_against"]
    body = {**bare(promise("k8s_fedora_atomic")), "labels": {"flannel_backend": label["value"]}}
    made, subnet = network(system)
    warned = rehearsed(system, {**body, label["with"]: made, "fixed_subnet": subnet})
    assert [sentence for sentence in warned.warnings if label["value"] in sentence] == warned.warnings != []
    assert rehearsed(system, body).warnings == []
    others = {**body, label["with"]: made, "fixed_subnet": subnet, "labels": {"flannel_backend": "vxlan"}}
    assert rehearsed(system, others).warnings == []


def test_the_warning_comes_with_the_bay_itself(system: System) -> None:
    made, subnet = network(system)
    labels = {"flannel_backend": "host-gw"}
    model = system.baymodel(fixed_network=made, fixed_subnet=subnet, labels=labels)
    answer = system.call("POST", "/v1/bays", {"baymodel_id": model["uuid"]})
    assert answer.status_code == 201
    (warning,) = answer.headers.get_list("Warning")
    assert warning.startswith('299 - "')
    (operation,) = system.call("GET", f"/v1/bays/{answer.json()['uuid']}/operations").json()["operations"]
    assert [f'299 - "{sentence}"' for sentence in operation["warnings"]] == [warning]
