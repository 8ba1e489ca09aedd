"""Kubernetes on bare metal: what differs from Fedora Atomic, whose payload it has."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.footprint import footprint
from shared.drivers.registry import find
from tests.drivers.cases import CREDENTIAL, facts
from tests.drivers.legacy_nodes import ATOMIC, IRONIC
from tests.drivers.nodes import environment, node


def test_is_the_driver_of_bare_metal() -> None:
    assert find("bm", "fedora", "kubernetes") is IRONIC


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"fixed_network": None, "fixed_subnet": None}, "fixed_network", "provider network"),
        ({"volume_driver": "cinder"}, "volume_driver", "no Cinder volumes"),
        ({"docker_volume_size": 5}, "docker_volume_size", "no Cinder volumes"),
        ({"master_lb_enabled": True, "fixed_subnet": None}, "fixed_subnet", "load balancer"),
    ],
)
def test_refused_with_field_and_reason(changes: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        IRONIC.validate(facts(IRONIC, **changes))
    assert refused.value.field == field


@pytest.mark.parametrize("floating", [True, False])
@pytest.mark.parametrize("tls_disabled", [True, False])
def test_floating_addresses_and_tls_are_choices(floating: bool, tls_disabled: bool) -> None:
    given = facts(IRONIC, floating_ip_enabled=floating, tls_disabled=tls_disabled)
    stack = IRONIC.render(given, CREDENTIAL)
    assert stack.parameters["floating_ip_enabled"] == str(floating).lower()
    assert stack.parameters["fixed_network"] == "office"


def test_no_volume_and_no_network_is_made() -> None:
    made = footprint(IRONIC.render(facts(IRONIC, master_count=3), CREDENTIAL))
    assert (made.volumes, made.networks, made.subnets, made.routers) == ({}, 0, 0, 0)
    assert made.servers == {"m1.medium": 3, "m1.small": 2}


@pytest.mark.parametrize("label", ["etcd_volume_size", "docker_volume_type", "boot_volume_size", "fixed_subnet_cidr"])
def test_labels_of_volumes_and_new_networks_have_no_effect(label: str) -> None:
    assert label in ATOMIC.label_rules
    assert label not in IRONIC.label_rules


@pytest.mark.parametrize("role", ["master", "worker"])
def test_nodes_are_those_of_fedora_atomic(role: str) -> None:
    ours, theirs = node(IRONIC, role), node(ATOMIC, role)
    assert ours.scripts == theirs.scripts
    assert ours.files.keys() == theirs.files.keys()
    assert environment(IRONIC, role) == environment(ATOMIC, role)
    assert [user["name"] for user in ours.config["users"]] == ["fedora"]
