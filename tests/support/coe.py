"""Bays' own APIs for tests: opened in the test's event loop, over TLS, with an authority of the test's.

::

    async with kubernetes_bay(nodes=3) as bay:                 # also docker_bay, mesos_bay
        bay.engine.add_deployment("web", replicas=3, cpu="500m")
        bay.engine.add_budget("web", "web", min_available=2)
        bay.engine.fail_node("node-0")
        bay.engine.misbehave("hang", path="/eviction$")
        await bay.clock.advance(40)                            # time is virtual: nothing passes by itself
        certificate, key = bay.client("scaler", "jeroboam:scaler")
        ... dial bay.url with bay.ca, certificate and key ...
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints, Endpoint, Identity
from cloudsim.coe.bay import Bay, Machine
from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.docker.classic import ClassicBay
from cloudsim.coe.kubernetes.bay import KubernetesBay
from cloudsim.coe.mesos.bay import MesosBay

_MASTER = 5050
_pool = ipaddress.ip_network("127.64.0.0/10")
_hosts = itertools.count(65_536 + os.getpid() * 61 % 3_000_000)
BayT = TypeVar("BayT", bound=Bay)


def loopback_address() -> str:
    """An address of 127.64.0.0/10 that no other bay of this process has."""
    return str(_pool[next(_hosts) % (_pool.num_addresses - 2) + 1])


class TestAuthority:
    """A bay's authority, as services.certs would be: EC P-256."""

    __test__ = False

    def __init__(self, name: str = "test bay") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        signed = builder.add_extension(usage, critical=True).sign(self._key, SHA256())
        self.pem = signed.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, *groups: str, hosts: Sequence[str] = (), server: bool = False) -> tuple[str, str]:
        """Certificate and key, PEM; `hosts` are names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in groups]
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key())
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(one) for one in hosts]), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = builder.add_extension(own, critical=False).sign(self._key, SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return certificate.public_bytes(Encoding.PEM).decode(), pem

    def identity(self, *hosts: str) -> Identity:
        """A server's certificate of this authority, which takes clients of this authority."""
        certificate, key = self.issue(hosts[0], hosts=hosts, server=True)
        return Identity(certificate, key, self.pem)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class PlayedBay(Generic[BayT]):
    """An open endpoint, and what a client needs to dial it."""

    engine: BayT
    """Its state, and the methods that change it."""
    endpoints: CoeEndpoints
    endpoint: Endpoint
    authority: TestAuthority | None
    """None: it talks without TLS."""
    second: Endpoint | None = None
    """The master's, in a Mesos bay, whose own address is Marathon's."""
    _issued: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)

    @property
    def clock(self) -> Clock:
        """Moves the engine's time: `await bay.clock.advance(seconds)`."""
        return self.engine.clock

    @property
    def address(self) -> str:
        return self.endpoint.address

    @property
    def port(self) -> int:
        return self.endpoint.port

    @property
    def url(self) -> str:
        """As a bay's api_address, with https or http."""
        return f"{'https' if self.authority else 'http'}://{self.address}:{self.port}"

    @property
    def master_url(self) -> str:
        """The Mesos master's."""
        assert self.second is not None
        return f"http://{self.second.address}:{self.second.port}"

    @property
    def ca(self) -> str:
        """PEM; empty without TLS."""
        return self.authority.pem if self.authority else ""

    def client(self, name: str = "admin", *groups: str) -> tuple[str, str]:
        """A client's certificate and key, PEM; groups are its organizations, `system:masters` unless given."""
        assert self.authority is not None
        wanted = (name, *(groups or ("system:masters",)))
        if wanted not in self._issued:
            self._issued[wanted] = self.authority.issue(*wanted)
        return self._issued[wanted]

    def context(self, tmp_path: Path, name: str = "admin", *groups: str) -> ssl.SSLContext:
        """For httpx and aiohttp: trusts the bay, and shows such a client certificate."""
        found = ssl.create_default_context(cadata=self.ca)
        certificate, key = self.client(name, *groups)
        file = tmp_path / f"{name}-{len(self._issued)}.pem"
        file.touch(0o600)
        file.write_text(key + certificate)
        found.load_cert_chain(file)
        return found

    async def close(self) -> None:
        """Stop listening and cut the connections; the engine keeps its state."""
        await self.endpoints.close()


@asynccontextmanager
async def play(
    engine: BayT,
    *,
    port: int,
    tls: bool = True,
    must: bool = True,
    address: str = "",
    authority: TestAuthority | None = None,
) -> AsyncIterator[PlayedBay[BayT]]:
    """Open an engine's API on its real port if that is free, else on one of the kernel's."""
    address = address or loopback_address()
    authority = (authority or TestAuthority()) if tls else None
    identity = authority.identity(address, "kubernetes", "localhost") if authority else None
    endpoints = CoeEndpoints()
    opened = []
    for wanted, handler in zip((port, _MASTER), engine.doors().values(), strict=False):
        real = free_or_any(address, wanted)
        opened.append(await endpoints.open(address, real, engine, identity=identity, must=must, handler=handler))
    try:
        yield PlayedBay(engine, endpoints, opened[0], authority, opened[1] if opened[1:] else None)
    finally:
        await endpoints.close()


def free_or_any(address: str, port: int) -> int:
    """The port if nobody has it on that address, else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return 0
    return port


@asynccontextmanager
async def kubernetes_bay(
    *,
    nodes: int = 0,
    masters: int = 0,
    cpu: float = 2.0,
    memory: int = 4096,
    version: str = "1.28.4",
    clock: Clock | None = None,
    tls: bool = True,
    address: str = "",
    port: int = 6443,
    authority: TestAuthority | None = None,
    **times: Any,
) -> AsyncIterator[PlayedBay[KubernetesBay]]:
    """A Kubernetes with workers `node-0` … and masters `master-0` …, each of so many cores and MiB.

    Args:
        clock: virtual unless given; `Clock(1)` is real time.
        times: start_seconds, stop_seconds, monitor_grace, eviction_grace.
    """
    engine = KubernetesBay(clock or Clock(0), version=version, **times)
    _people(engine, nodes, masters, cpu, memory)
    opened = play(engine, port=port, tls=tls, must=True, address=address, authority=authority)
    async with opened as bay:
        yield bay


@asynccontextmanager
async def docker_bay(
    *,
    nodes: int = 0,
    masters: int = 1,
    cpu: float = 2.0,
    memory: int = 4096,
    clock: Clock | None = None,
    tls: bool = True,
    address: str = "",
    port: int = 2375,
    authority: TestAuthority | None = None,
    **options: Any,
) -> AsyncIterator[PlayedBay[DockerBay]]:
    """A swarm with workers `node-0` … and managers `master-0` …, which take tasks too.

    Args:
        options: version, api, stop_seconds, down_after, manager.
    """
    engine = DockerBay(clock or Clock(0), **options)
    _people(engine, nodes, masters, cpu, memory)
    async with play(engine, port=port, tls=tls, address=address, authority=authority) as bay:
        yield bay


@asynccontextmanager
async def classic_bay(
    *,
    nodes: int = 0,
    cpu: float = 2.0,
    memory: int = 4096,
    clock: Clock | None = None,
    tls: bool = True,
    address: str = "",
    port: int = 2376,
    authority: TestAuthority | None = None,
    **options: Any,
) -> AsyncIterator[PlayedBay[ClassicBay]]:
    """A classic Swarm's manager with engines `node-0` ….

    Args:
        options: version, unhealthy_after, forgotten_after.
    """
    engine = ClassicBay(clock or Clock(0), **options)
    _people(engine, nodes, 0, cpu, memory)
    async with play(engine, port=port, tls=tls, address=address, authority=authority) as bay:
        yield bay


@asynccontextmanager
async def mesos_bay(
    *,
    nodes: int = 0,
    masters: int = 0,
    cpu: float = 2.0,
    memory: int = 4096,
    clock: Clock | None = None,
    address: str = "",
    port: int = 8080,
    **options: Any,
) -> AsyncIterator[PlayedBay[MesosBay]]:
    """A Mesos with agents `node-0` …, without TLS: `url` is Marathon's, `master_url` the master's.

    Args:
        options: version, marathon_version, agent_timeout, heeds_maintenance, stop_seconds, own_address.
    """
    engine = MesosBay(clock or Clock(0), **options)
    _people(engine, nodes, masters, cpu, memory)
    async with play(engine, port=port, tls=False, address=address) as bay:
        yield bay


def _people(engine: Bay, nodes: int, masters: int, cpu: float, memory: int) -> None:
    leading = (Machine(f"master-{number}", "", cpu, memory, "master") for number in range(masters))
    engine.join(*leading, *(Machine(f"node-{number}", "", cpu, memory) for number in range(nodes)))
