"""Labels of the containers' and the services' networks, in every driver that has them."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.contract import Driver
from tests.drivers.cases import CREDENTIAL, facts, user_data


def with_label(name: str) -> pytest.MarkDecorator:
    """Every driver in which the label takes effect."""
    having = [driver for driver in registry.DRIVERS if name in driver.label_rules]
    assert having
    return pytest.mark.parametrize("driver", having, ids=lambda driver: driver.name)


def environments(driver: Driver, **labels: str) -> list[dict[str, str]]:
    """What each role is told."""
    given: dict[str, Any] = {"labels": labels, "network_driver": "flannel"}
    stack = driver.render(facts(driver, **given), CREDENTIAL)
    words = [shlex.split(node.files["/etc/jeroboam/bay.env"]["content"]) for node in user_data(stack).values()]
    return [dict(word.split("=", 1) for word in one) for one in words]


def flannel(driver: Driver, **labels: str) -> dict[str, Any]:
    """The one configuration that flanneld reads, the same on every node."""
    found = [json.loads(one["JB_FLANNEL_CONFIG"]) for one in environments(driver, **labels)]
    assert all(one == found[0] for one in found)
    config: dict[str, Any] = found[0]
    return config


def parameters(driver: Driver, **labels: str) -> dict[str, str]:
    return driver.render(facts(driver, labels=labels, network_driver="flannel"), CREDENTIAL).parameters


@with_label("flannel_network_cidr")
def test_flannel_network_cidr(driver: Driver) -> None:
    assert flannel(driver)["Network"] == "10.100.0.0/16"
    assert flannel(driver, flannel_network_cidr="172.20.0.0/15")["Network"] == "172.20.0.0/15"
    for taken in ("10.100.0.1/16", "10.100.0.0", "fe80::/10"):
        with pytest.raises(InvalidInput) as refused:
            flannel(driver, flannel_network_cidr=taken)
        assert refused.value.field == "labels/flannel_network_cidr"


@with_label("flannel_network_subnetlen")
def test_flannel_network_subnetlen(driver: Driver) -> None:
    assert flannel(driver)["SubnetLen"] == 24
    assert flannel(driver, flannel_network_subnetlen="26")["SubnetLen"] == 26
    for length in ("16", "31", "x"):
        with pytest.raises(InvalidInput) as refused:
            flannel(driver, flannel_network_subnetlen=length)
        assert refused.value.field == "labels/flannel_network_subnetlen"


@with_label("flannel_backend")
def test_flannel_backend(driver: Driver) -> None:
    """host-gw sends containers' packets as they are, so that ports must let their addresses pass."""
    assert flannel(driver)["Backend"] == {"Type": driver.label_rules["flannel_backend"].default}
    for backend in ("udp", "vxlan", "host-gw"):
        assert flannel(driver, flannel_backend=backend)["Backend"]["Type"] == backend
        pods = parameters(driver, flannel_backend=backend)["pod_network_cidr"]
        assert pods == ("10.100.0.0/16" if backend == "host-gw" else "")
    with pytest.raises(InvalidInput) as refused:
        flannel(driver, flannel_backend="pigeon")
    assert refused.value.field == "labels/flannel_backend"


@with_label("flannel_backend")
def test_host_gw_on_an_existing_network_is_advised_against(driver: Driver) -> None:
    given = facts(
        driver,
        network_driver="flannel",
        fixed_network="office",
        fixed_subnet="s",
        labels={"flannel_backend": "host-gw"},
    )
    driver.validate(given)
    assert [sentence for sentence in driver.advice(given) if "host-gw" in sentence]


@with_label("service_cluster_ip_range")
def test_service_cluster_ip_range(driver: Driver) -> None:
    for label, expected, first in (
        ({}, "10.254.0.0/16", "10.254.0.1"),
        ({"service_cluster_ip_range": "172.30.0.0/20"}, "172.30.0.0/20", "172.30.0.1"),
    ):
        for one in environments(driver, **label):
            assert expected in one.values()
        given = facts(driver, labels=label)
        names, addresses = driver.certificate_names(given, "master")
        assert first in addresses, "the API's own address inside the bay is in the masters' certificates"
        assert "kubernetes.default" in names
    for taken in ("10.100.0.0/24", "10.254.0.0/30"):
        with pytest.raises(InvalidInput):
            driver.validate(facts(driver, labels={"service_cluster_ip_range": taken}))
