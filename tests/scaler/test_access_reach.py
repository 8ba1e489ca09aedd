"""Which bays are called, by which client and at which addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from types import MappingProxyType
from typing import cast
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from services.scaler.access import Access
from services.scaler.engines import new_coe
from services.scaler.reach import NotCalled, dialled, host_of, port_of, unreachable
from shared.bus.port import Bus
from shared.coe.connect import Channel, Dialer
from shared.domain.bay import Bay, Node, Wanted
from shared.domain.bay_state import BayStatus
from shared.runtime.egress import EgressPolicy

ANYWHERE = EgressPolicy()
FLOATING = Node("m", "master", 0, "m-0", "172.24.4.9", "10.0.0.4")
SECOND = Node("n", "master", 1, "m-1", "172.24.4.10", "10.0.0.5")
INSIDE = Node("o", "master", 2, "m-2", "10.0.0.6", "10.0.0.6")
WORKER = Node("w", "worker", 0, "w-0", "172.24.4.11", "10.0.0.7")


def bay(
    driver: str = "k8s_ubuntu",
    address: str | None = "https://172.24.4.9:6443",
    spec: Mapping[str, object] = MappingProxyType({}),
) -> Bay:
    return Bay(
        id=uuid4(),
        project_id="p",
        user_id="u",
        name="b",
        baymodel_id=uuid4(),
        status=BayStatus.CREATE_COMPLETE,
        wanted=Wanted.PRESENT,
        generation=1,
        stack_name="b-1",
        stack_id=None,
        node_count=1,
        master_count=1,
        create_timeout=60,
        driver=driver,
        spec=spec,
        api_address=address,
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("https://172.24.4.9:6443", "172.24.4.9", 6443),
        ("tcp://172.24.4.9:2376", "172.24.4.9", 2376),
        ("172.24.4.9", "172.24.4.9", None),
        ("https://[2001:db8::1]:6443/", "2001:db8::1", 6443),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
    ],
)
def test_addresses_are_taken_apart(address: str, host: str, port: int | None) -> None:
    assert (host_of(address), port_of(address)) == (host, port)


@pytest.mark.parametrize(
    ("spec", "private_too", "called"),
    [
        ({}, False, True),
        ({"floating_ip_enabled": False}, False, False),
        ({"floating_ip_enabled": False}, True, True),
        ({"floating_ip_enabled": False, "master_lb_enabled": True}, False, False),
        (
            {
                "floating_ip_enabled": False,
                "master_lb_enabled": True,
                "labels": {"master_lb_floating_ip_enabled": "true"},
            },
            False,
            True,
        ),
        ({"master_lb_enabled": True, "labels": {"master_lb_floating_ip_enabled": "false"}}, False, False),
        ({"master_lb_enabled": False, "labels": {"master_lb_floating_ip_enabled": "false"}}, False, True),
    ],
)
def test_only_apis_with_a_floating_address_are_called(spec: dict[str, object], private_too: bool, called: bool) -> None:
    why = unreachable(bay(spec=spec), ANYWHERE, private_too=private_too)

    assert (why is None) == called
    assert called or "JEROBOAM_SCALER_REACH_PRIVATE" in str(why)


@pytest.mark.parametrize(
    ("address", "egress", "words"),
    [
        (None, ANYWHERE, "no API address yet"),
        ("https://169.254.169.254:80", ANYWHERE, "not allowed"),
        ("https://127.0.0.1:5432", ANYWHERE.towards_bays(), "not allowed"),
        ("tcp://[::ffff:127.0.0.1]:2375", ANYWHERE.towards_bays(), "not allowed"),
        ("https://[::1]:5432", ANYWHERE.towards_bays(), "not allowed"),
        ("https://10.1.2.3:5432", EgressPolicy(deny=(ip_network("10.1.0.0/16"),)), "control plane"),
        ("https://api.example.org:6443", ANYWHERE, "not an IP address"),
    ],
)
def test_what_is_dialled_is_judged_before(address: str | None, egress: EgressPolicy, words: str) -> None:
    assert words in str(unreachable(bay(address=address), egress, private_too=True))


def test_a_process_calls_its_own_machine_only_where_the_operator_lists_it() -> None:
    """A bay's address is what its stack tells, and the stack is its owner's."""
    engine, inside = create_async_engine("postgresql+asyncpg://nowhere"), bay(address="https://127.64.0.9:6443")
    for allow, reached in (((), False), ((ip_network("127.0.0.0/8"),), True)):
        access = Access.of(engine, cast("Bus", None), EgressPolicy(allow), private_too=False)
        assert access.reaches(inside) is reached
        assert access.reaches(bay()) is not reached


def test_masters_without_floating_addresses_are_not_dialled() -> None:
    nodes = [FLOATING, INSIDE, WORKER]

    assert dialled(nodes, private_too=False) == [FLOATING]
    assert dialled(nodes, private_too=True) == [FLOATING, INSIDE]


def called(one: Bay, masters: list[Node], *, tls: bool = True) -> list[tuple[str, str]]:
    """Service and base URL of each channel."""
    found: list[tuple[str, str]] = []

    def channel(service: str, base: str) -> Channel:
        found.append((service, base))
        return Dialer(ANYWHERE).channel(service, base)

    new_coe(one, masters, channel, tls=tls)
    return found


def test_kubernetes_is_asked_at_the_bays_address() -> None:
    assert called(bay(), []) == [("kubernetes", "https://172.24.4.9:6443")]
    assert called(bay(address="http://[2001:db8::1]:8080"), [], tls=False) == [
        ("kubernetes", "http://[2001:db8::1]:8080")
    ]


@pytest.mark.parametrize("driver", ["swarm_fedora_atomic", "swarm_mode_fedora_atomic"])
def test_swarm_is_asked_at_each_manager(driver: str) -> None:
    assert called(bay(driver, "tcp://172.24.4.9:2376"), [FLOATING, SECOND]) == [
        ("docker", "https://172.24.4.9:2376"),
        ("docker", "https://172.24.4.10:2376"),
    ]


def test_mesos_is_asked_at_its_masters_and_marathon_at_the_balancer_too() -> None:
    assert called(bay("mesos_ubuntu", "172.24.4.20"), [FLOATING], tls=False) == [
        ("mesos", "http://172.24.4.9:5050"),
        ("marathon", "http://172.24.4.20:8080"),
        ("marathon", "http://172.24.4.9:8080"),
    ]
    with pytest.raises(NotCalled):
        called(bay("mesos_ubuntu", "172.24.4.20"), [], tls=False)
