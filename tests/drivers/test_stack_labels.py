"""Labels that shape a bay's stack, in every driver that has them: what Heat is asked for with and without each."""

from __future__ import annotations

from typing import Any

import pytest

from shared.drivers import registry
from shared.drivers.contract import Driver, RenderedStack
from tests.drivers.cases import CREDENTIAL, cases, facts, resources, templates


def with_label(name: str) -> pytest.MarkDecorator:
    """Every driver in which the label takes effect."""
    having = [driver for driver in registry.DRIVERS if name in driver.label_rules]
    assert having
    return pytest.mark.parametrize("driver", having, ids=lambda driver: driver.name)


def stack(driver: Driver, labels: dict[str, str] | None = None, **changes: Any) -> RenderedStack:
    return driver.render(facts(driver, labels=labels or {}, **changes), CREDENTIAL)


def properties(rendered: RenderedStack, kind: str, template: str = "") -> list[dict[str, Any]]:
    """Of the resources of one type, in one template or in all."""
    return [one["properties"] for where, _, one in resources(rendered, kind) if template in ("", where)]


def balanced(driver: Driver, **labels: str) -> RenderedStack:
    given = cases(driver)["balanced"] | {"labels": labels}
    return driver.render(facts(driver, **given), CREDENTIAL)


@with_label("availability_zone")
def test_availability_zone(driver: Driver) -> None:
    given: dict[str, Any] = {"docker_volume_size": 5} if driver.support.docker_volume else {}
    zoned, plain = stack(driver, {"availability_zone": "az-2"}, **given), stack(driver, **given)
    assert zoned.parameters["availability_zone"] == "az-2"
    for kind in ("OS::Nova::Server", "OS::Cinder::Volume"):
        for one in properties(zoned, kind):
            assert one["availability_zone"] == {"get_param": "availability_zone"}
        assert all("availability_zone" not in one for one in properties(plain, kind))


@with_label("server_group_policies")
def test_server_group_policies(driver: Driver) -> None:
    """The provisioner makes the groups by the label (tests/e2e/test_server_groups.py); servers are put into them."""
    grouped = stack(driver, master_server_group="g-1", worker_server_group="g-2")
    assert (grouped.parameters["master_server_group"], grouped.parameters["node_server_group"]) == ("g-1", "g-2")
    for one in properties(grouped, "OS::Nova::Server"):
        assert one["scheduler_hints"] == {"group": {"get_param": "server_group"}}
    assert all("scheduler_hints" not in one for one in properties(stack(driver), "OS::Nova::Server"))


@with_label("docker_volume_type")
def test_docker_volume_type(driver: Driver) -> None:
    fast = stack(driver, {"docker_volume_type": "fast"}, docker_volume_size=5)
    assert fast.parameters["docker_volume_type"] == "fast"
    (volume,) = properties(fast, "OS::Cinder::Volume", "worker.yaml")
    assert volume["volume_type"] == {"get_param": "docker_volume_type"}
    (plain,) = properties(stack(driver, docker_volume_size=5), "OS::Cinder::Volume", "worker.yaml")
    assert "volume_type" not in plain


@with_label("boot_volume_size")
def test_boot_volume_size(driver: Driver) -> None:
    booted = stack(driver, {"boot_volume_size": "30"})
    assert booted.parameters["boot_volume_size"] == "30"
    for one in properties(booted, "OS::Nova::Server"):
        (device,) = one["block_device_mapping_v2"]
        assert device["volume_size"] == {"get_param": "boot_volume_size"}
        assert device["delete_on_termination"] is True
        assert "image" not in one
    for one in properties(stack(driver), "OS::Nova::Server"):
        assert "image" in one
        assert "block_device_mapping_v2" not in one


@with_label("boot_volume_type")
def test_boot_volume_type(driver: Driver) -> None:
    booted = stack(driver, {"boot_volume_size": "30", "boot_volume_type": "fast"})
    assert booted.parameters["boot_volume_type"] == "fast"
    for one in properties(booted, "OS::Nova::Server"):
        assert one["block_device_mapping_v2"][0]["volume_type"] == {"get_param": "boot_volume_type"}
    alone = stack(driver, {"boot_volume_type": "fast"})
    assert all("block_device_mapping_v2" not in one for one in properties(alone, "OS::Nova::Server"))


@with_label("etcd_volume_size")
def test_etcd_volume_size(driver: Driver) -> None:
    kept = stack(driver, {"etcd_volume_size": "3"})
    assert kept.parameters["etcd_volume_size"] == "3"
    assert "@@ETCD_VOLUME@@" in kept.files["master.user-data"]
    master = templates(kept)["master.yaml"]
    assert master["resources"]["etcd_volume"]["properties"]["size"] == {"get_param": "etcd_volume_size"}
    assert stack(driver).parameters["etcd_volume_size"] == "0"


@with_label("etcd_volume_type")
def test_etcd_volume_type(driver: Driver) -> None:
    kept = stack(driver, {"etcd_volume_size": "3", "etcd_volume_type": "fast"})
    master = templates(kept)["master.yaml"]["resources"]["etcd_volume"]["properties"]
    assert master["volume_type"] == {"get_param": "etcd_volume_type"}
    assert kept.parameters["etcd_volume_type"] == "fast"


@with_label("fixed_subnet_cidr")
def test_fixed_subnet_cidr(driver: Driver) -> None:
    assert stack(driver, {"fixed_subnet_cidr": "192.168.7.0/24"}).parameters["fixed_network_cidr"] == "192.168.7.0/24"
    assert stack(driver).parameters["fixed_network_cidr"] == "10.0.0.0/24"


@with_label("master_lb_floating_ip_enabled")
def test_master_lb_floating_ip_enabled(driver: Driver) -> None:
    name = "master_lb_floating_ip_enabled"
    assert balanced(driver).parameters[name] == "true"
    assert balanced(driver, master_lb_floating_ip_enabled="False").parameters[name] == "false"
    private = cases(driver)["balanced"] | {"floating_ip_enabled": False, "labels": {name: "yes"}}
    assert driver.render(facts(driver, **private), CREDENTIAL).parameters[name] == "true"


@with_label("master_lb_allowed_cidrs")
def test_master_lb_allowed_cidrs(driver: Driver) -> None:
    closed = balanced(driver, master_lb_allowed_cidrs="203.0.113.0/24, 198.51.100.7/32")
    allowed = closed.parameters["master_lb_allowed_cidrs"].split(",")
    own = ["10.0.0.0/24"] if "new" in driver.support.networks else []  # of an existing network only the user knows
    assert allowed == ["203.0.113.0/24", "198.51.100.7/32", *own]
    (listener,) = properties(closed, "OS::Octavia::Listener")
    assert listener["allowed_cidrs"] == {"get_param": "allowed_cidrs"}
    (open_,) = properties(balanced(driver), "OS::Octavia::Listener")
    assert "allowed_cidrs" not in open_


@with_label("octavia_provider")
def test_octavia_provider(driver: Driver) -> None:
    chosen = balanced(driver, octavia_provider="ovn")
    assert chosen.parameters["octavia_provider"] == "ovn"
    assert properties(chosen, "OS::Octavia::LoadBalancer")[0]["provider"] == {"get_param": "provider"}
    assert "provider" not in properties(balanced(driver), "OS::Octavia::LoadBalancer")[0]


@with_label("octavia_lb_algorithm")
def test_octavia_lb_algorithm(driver: Driver) -> None:
    assert balanced(driver).parameters["octavia_lb_algorithm"] == "ROUND_ROBIN"
    assert balanced(driver, octavia_lb_algorithm="SOURCE_IP").parameters["octavia_lb_algorithm"] == "SOURCE_IP"


@with_label("octavia_lb_healthcheck")
def test_octavia_lb_healthcheck(driver: Driver) -> None:
    assert balanced(driver).parameters["octavia_lb_healthcheck"] == "true"
    assert balanced(driver, octavia_lb_healthcheck="0").parameters["octavia_lb_healthcheck"] == "false"
