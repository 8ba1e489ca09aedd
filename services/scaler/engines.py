"""Which client speaks to a bay's engine, and at which of its addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from services.scaler.reach import NotCalled, coe_of, host_of, port_of
from shared.coe.connect import Channel
from shared.coe.kubernetes import Kubernetes
from shared.coe.mesos import Mesos
from shared.coe.mesos_api import Master
from shared.coe.port import Coe
from shared.coe.swarm import SwarmMode
from shared.coe.swarm_classic import ClassicSwarm
from shared.domain.bay import Bay, Node

_DOCKER_PORT: Final = 2376
_MARATHON_PORT: Final = 8080
_MESOS_PORT: Final = 5050

NewChannel = Callable[[str, str], Channel]
"""By service and base URL."""


def new_coe(bay: Bay, masters: Sequence[Node], channel: NewChannel, *, tls: bool) -> Coe:
    """The client for a bay that has an API address. Nothing is connected yet.

    Args:
        masters: those whose addresses we may dial.

    Raises:
        NotCalled: no client knows this engine, or it is at addresses that we may not dial.
    """
    address, scheme = bay.api_address or "", "https" if tls else "http"
    hosts = [*dict.fromkeys([host_of(address), *(node.address for node in masters)])]
    match coe_of(bay):
        case "kubernetes":
            port = port_of(address) or (6443 if tls else 8080)
            return Kubernetes(channel("kubernetes", _url(scheme, hosts[0], port)))
        case "swarm":
            return ClassicSwarm(_dockers(address, scheme, hosts, channel))
        case "swarm-mode":
            return SwarmMode(_dockers(address, scheme, hosts, channel))
        case "mesos":
            return _mesos(masters, hosts, channel)
        case coe:
            raise NotCalled(f"This service has no client for bays of kind {coe}.")


def _dockers(address: str, scheme: str, hosts: Sequence[str], channel: NewChannel) -> list[Channel]:
    port = port_of(address) or _DOCKER_PORT
    return [channel("docker", _url(scheme, host, port)) for host in hosts]


def _mesos(masters: Sequence[Node], hosts: Sequence[str], channel: NewChannel) -> Mesos:
    """A load balancer has Marathon behind it; Mesos itself is at the masters alone."""
    if not masters:
        raise NotCalled("The bay's masters have no addresses that this service reaches.")
    return Mesos(
        [
            Master(
                channel("mesos", _url("http", node.address, _MESOS_PORT)),
                frozenset({node.address, node.private_address, node.name}),
            )
            for node in masters
        ],
        [channel("marathon", _url("http", host, _MARATHON_PORT)) for host in hosts],
    )


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
