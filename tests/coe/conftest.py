"""Simulated bays with an API on loopback, over TLS with real certificates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints
from cloudsim.coe.kubernetes.bay import KubernetesBay
from shared.coe.connect import Channel, ClientCertificate, Dialer, tls
from shared.coe.kubernetes import Kubernetes
from shared.runtime.egress import EgressPolicy
from tests.coe.pki import Authority, client, server

AUTHORITY = Authority("bay")
OURS = client(AUTHORITY)
PERSON = client(AUTHORITY, group="system:masters")
STRANGER = client(AUTHORITY, group="somebody")
LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))


class Clusters:
    """Makes Kubernetes bays in virtual time, each with our client for it."""

    def __init__(self) -> None:
        self.clock = Clock(speed=0)
        self.endpoints = CoeEndpoints()
        self.clients: list[Kubernetes] = []
        self.kubectl: Channel | None = None
        """A person's way into the last one that was made."""

    async def new(
        self,
        version: str = "1.28.4",
        *,
        nodes: int = 3,
        stop_seconds: float = 0.0,
        seconds: float = 5.0,
        shown: ClientCertificate = OURS,
    ) -> tuple[KubernetesBay, Kubernetes]:
        """A cluster with a master `m-0` and workers `w-0`, `w-1`, … of 2 cores and 4 GiB."""
        bay = KubernetesBay(self.clock, version=version, stop_seconds=stop_seconds)
        bay.add_node("m-0", role="master")
        for at in range(nodes):
            bay.add_node(f"w-{at}", address=f"10.0.0.{at + 100}")
        endpoint = await self.endpoints.open("127.0.0.1", 0, bay, identity=server(AUTHORITY), must=False)
        url = f"https://127.0.0.1:{endpoint.port}"
        made = Kubernetes(Dialer(LOOPBACK, seconds).channel("kubernetes", url, tls(AUTHORITY.pem, shown)))
        self.kubectl = Dialer(LOOPBACK).channel("kubernetes", url, tls(AUTHORITY.pem, PERSON))
        self.clients += [made, Kubernetes(self.kubectl)]
        return bay, made


@pytest.fixture
async def clusters() -> AsyncIterator[Clusters]:
    """Closed at the end."""
    found = Clusters()
    yield found
    for one in found.clients:
        await one.close()
    await found.endpoints.close()
