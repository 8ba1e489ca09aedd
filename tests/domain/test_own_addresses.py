"""Which addresses a bay's authority may speak for."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from shared.domain.own_addresses import foreign, own_networks

SPEC = {"labels": {"service_cluster_ip_range": "10.96.0.0/12"}}


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.7", True),  # the network that is made for it
        ("10.97.3.1", True),  # services, as labelled
        ("10.254.0.1", False),  # services, had they not been labelled
        ("10.100.4.4", True),  # containers, by default
        ("127.64.0.9", True),
        ("172.24.4.10", True),  # a node
        ("172.24.4.11", True),  # the API
        ("172.24.4.12", False),
        ("fd00::5", True),
        ("fd00::6", False),
        ("8.8.8.8", False),
    ],
)
def test_own_and_foreign(address: str, own: bool) -> None:
    networks = own_networks("k8s_fedora_atomic", SPEC, ["172.24.4.10", "https://172.24.4.11:6443", "[fd00::5]:1", None])
    asked = ip_address(address)
    assert foreign([asked], networks) == (None if own else asked)


def test_a_network_that_was_there_before_takes_the_place_of_the_one_made() -> None:
    spec = {"fixed_network": "private", "fixed_network_cidrs": "192.168.7.0/24,fd01::/64", "labels": None}
    networks = own_networks("mesos_ubuntu", spec, ["192.0.2.1:8080", "no address", ""])
    own = [ip_address(one) for one in ("192.168.7.9", "fd01::9", "192.0.2.1")]
    assert foreign(own, networks) is None
    for other in ("10.0.0.7", "10.254.0.1", "10.100.0.1"):
        assert foreign([*own, ip_address(other)], networks) == ip_address(other)
