"""What is particular to Kubernetes on Fedora Atomic: the guide's defaults and support tables, ports, services."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.common import sources
from shared.drivers.registry import find
from tests.drivers.cases import CREDENTIAL, facts, render, resources, user_data

DRIVER = find("vm", "fedora-atomic", "kubernetes")


def environment(role: str = "worker", **changes: Any) -> dict[str, str]:
    stack = DRIVER.render(facts(DRIVER, **changes), CREDENTIAL)
    text = user_data(stack)[role].files["/etc/jeroboam/bay.env"]["content"]
    return {name: "".join(shlex.split(value)) for name, _, value in (line.partition("=") for line in text.splitlines())}


def parameters(**changes: Any) -> dict[str, str]:
    return DRIVER.render(facts(DRIVER, **changes), CREDENTIAL).parameters


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"master_count": 3}, "master_count"),
        ({"master_count": 0}, "master_count"),
        ({"master_lb_enabled": True}, "master_lb_enabled"),
        ({"node_count": -1}, "node_count"),
        ({"network_driver": "docker"}, "network_driver"),
        ({"volume_driver": "rexray"}, "volume_driver"),
        ({"registry_enabled": True}, "registry_enabled"),
        ({"docker_storage_driver": "btrfs"}, "docker_storage_driver"),
        ({"fixed_subnet": "s"}, "fixed_subnet"),
        ({"apiserver_port": 80}, "apiserver_port"),
        ({"apiserver_port": 2379}, "apiserver_port"),
        ({"apiserver_port": 8080}, "apiserver_port"),
        ({"labels": {"flannel_backend": "pigeon"}}, "labels/flannel_backend"),
        ({"labels": {"flannel_network_cidr": "10.1.2.3/16"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_cidr": "10.100.0.0"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_cidr": "10.0.0.0/16"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_cidr": "10.254.0.0/17"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_subnetlen": "16"}}, "labels/flannel_network_subnetlen"),
        ({"labels": {"flannel_network_subnetlen": "٢٤"}}, "labels/flannel_network_subnetlen"),
    ],
)
def test_refused_with_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DRIVER.validate(facts(DRIVER, **changes))
    assert refused.value.field == field


def test_door_check_needs_no_authority_but_rendering_does() -> None:
    given = facts(DRIVER, ca_pem="")
    DRIVER.validate(given)
    with pytest.raises(ValueError, match="ca_pem"):
        DRIVER.render(given, CREDENTIAL)


def test_flannel_network_may_lie_anywhere_in_an_existing_network_setup() -> None:
    DRIVER.validate(facts(DRIVER, fixed_network="n", labels={"flannel_network_cidr": "10.0.0.0/16"}))


def test_guides_flannel_defaults() -> None:
    config = json.loads(environment("master")["JB_FLANNEL_CONFIG"])
    assert config == {"Network": "10.100.0.0/16", "SubnetLen": 24, "Backend": {"Type": "udp"}}


@pytest.mark.parametrize(
    ("changes", "port", "scheme"),
    [
        ({}, "6443", "https"),
        ({"tls_disabled": True}, "8080", "http"),
        ({"apiserver_port": 7443}, "7443", "https"),
    ],
)
def test_api_port(changes: dict[str, Any], port: str, scheme: str) -> None:
    given = parameters(**changes)
    assert (given["kubernetes_port"], given["api_scheme"]) == (port, scheme)
    assert environment(**changes)["JB_API_SERVER"] == f"{scheme}://@@MASTER_ADDRESS@@:{port}"


def test_guides_networking_attributes_reach_heat() -> None:
    given = parameters(fixed_network="n", fixed_subnet="s", dns_nameserver="9.9.9.9", external_network_id="ext")
    assert (given["fixed_network"], given["fixed_subnet"]) == ("n", "s")
    assert (given["dns_nameserver"], given["external_network"]) == ("9.9.9.9", "ext")
    assert parameters()["dns_nameserver"] == "8.8.8.8"
    assert parameters()["pod_network_cidr"] == ""
    assert parameters(labels={"flannel_backend": "host-gw"})["pod_network_cidr"] == "10.100.0.0/16"


def test_guides_services() -> None:
    assert environment("master")["JB_UNITS"] == "etcd flanneld docker kube-apiserver kubelet"
    manifests = user_data(render(DRIVER, "default"))["master"].files["/etc/jeroboam/write-manifests"]["content"]
    for container in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        assert f"manifest {container} " in manifests


def test_kubelet_and_overlay_are_not_open_to_the_world() -> None:
    groups = {name: group for _, name, group in resources(render(DRIVER, "default"), "OS::Neutron::SecurityGroup")}
    for name, group in groups.items():
        for rule in group["properties"]["rules"]:
            low, high = rule.get("port_range_min"), rule.get("port_range_max")
            if rule.get("protocol") == "tcp" and isinstance(low, int):
                closed = (2379, 2380, 10250) if name == "secgroup_kube_master" else (4194, 10250, 10255)
                assert not any(low <= port <= high for port in closed)
            if rule.get("protocol") == "udp":
                assert not any(low <= port <= high for port in (8285, 8472))
            if "protocol" not in rule:
                assert rule == {"remote_mode": "remote_group_id"}


def test_version_and_default_image_agree() -> None:
    assert sources.DEFAULTS["k8s_hyperkube_image"].endswith(f":{DRIVER.coe_version}")


@pytest.mark.parametrize("text", ["", "{}", "k8s_pause_image: mirror/pause:2", '{"k8s_pause_image": "mirror/pause:2"}'])
def test_source_overrides_are_read(text: str) -> None:
    assert sources.resolve(sources.parse(text)).keys() == sources.DEFAULTS.keys()


@pytest.mark.parametrize("text", ["[]", "a: [", "k8s_pause_image: 7", "k8s_pause_image: ''", "nonsense: x"])
def test_bad_source_overrides_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="ource"):
        sources.parse(text)
