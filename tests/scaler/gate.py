"""A bay with real authorities, a simulated Kubernetes behind TLS of those, and the authority's worker or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy.ext.asyncio import AsyncEngine

from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints, Endpoint, Identity
from cloudsim.coe.kubernetes.bay import KubernetesBay
from services.certs.handlers import sign_requested
from services.scaler.access import Access
from services.scaler.passes import NOT_AGAIN, Passes
from services.scaler.signatures import Signatures
from shared.bus import make_bus
from shared.bus.port import Bus, DeadLetter
from shared.coe.connect import Dialer
from shared.contracts.base import Message
from shared.contracts.certificate import CertificateSignRequested
from shared.db.engine import make_engine
from shared.db.repositories import authorities, bays
from shared.domain.bay import Bay
from shared.runtime.egress import EgressPolicy
from tests.certs.world import World, as_role, new_bay
from tests.support.csrs import addresses, csr_of
from tests.support.database import migrated_database

LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))


@dataclass
class Gate:
    """`own` has only what jb_scaler may do; `amqp` is the broker, None for the Postgres bus."""

    world: World
    own: AsyncEngine
    amqp: str | None
    prefix: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")
    endpoints: CoeEndpoints = field(default_factory=CoeEndpoints)
    clock: Clock = field(default_factory=lambda: Clock(speed=0))

    async def bay(self, name: str = "kube") -> Bay:
        """A standing bay with authorities, whose API is nowhere yet."""
        self.world.bay_id = await new_bay(self.world.dsn, name)
        await self.world.make_authorities()
        await self.world.rows("UPDATE bays SET api_address = 'https://127.0.0.1:1', status = 'CREATE_COMPLETE'")
        return await self.row(self.world.bay_id)

    async def row(self, bay_id: UUID) -> Bay:
        """As the scaler reads it."""
        async with self.own.connect() as conn:
            found = await bays.get(conn, bay_id)
        assert found is not None
        return found

    async def change(self, bay: Bay, changes: str) -> Bay:
        """As others write it."""
        await self.world.rows(f"UPDATE bays SET {changes} WHERE id = '{bay.id}'")
        return await self.row(bay.id)

    async def api(self, bay: Bay, version: str = "1.28.4") -> tuple[Bay, KubernetesBay, Endpoint]:
        """Its API, with a server certificate by the authority that signs now."""
        kubernetes = KubernetesBay(self.clock, version=version)
        kubernetes.add_node("w-0")
        identity = await self.identity(bay)
        endpoint = await self.endpoints.open("127.0.0.1", 0, kubernetes, identity=identity, must=False)
        return await self.change(bay, f"api_address = 'https://127.0.0.1:{endpoint.port}'"), kubernetes, endpoint

    async def identity(self, bay: Bay, *, dropped: bool = False) -> Identity:
        """A server's certificate by the authority that signs now; clients of all that are trusted are taken, or where
        the node has `dropped` the old ones, of the newest alone."""
        key = ec.generate_private_key(ec.SECP256R1())
        asked = await self.world.ask(csr_of(key, "server", [addresses("127.0.0.1")]))
        await self.world.signer().decide(asked)
        async with self.own.connect() as conn:
            trusted = await authorities.trusted(conn, bay.id, "kubernetes")
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Identity(
            await self.world.signed(asked),
            pem,
            "".join(one.certificate for one in (trusted[-1:] if dropped else trusted)),
        )

    @asynccontextmanager
    async def certs(self) -> AsyncIterator[None]:
        """The authority's worker on the same bus."""
        async with self._bus("certs", "jb_certs") as bus:
            deps = replace(self.world.deps(), bus=bus)

            async def handle(message: Message) -> None:
                assert isinstance(message, CertificateSignRequested)
                await sign_requested(deps, message)

            await bus.consume("certs", handle, concurrency=4)
            yield
            await deps.signer.close()

    @asynccontextmanager
    async def access(
        self, *, seconds: float = 10.0, kept: int = 256, not_again: float = NOT_AGAIN, private_too: bool = False
    ) -> AsyncIterator[Access]:
        """The scaler's, which waits so many seconds for a signature."""
        async with self._bus("scaler", "jb_scaler") as bus:
            signatures = Signatures(self.own, bus, patience=timedelta(seconds=seconds))
            passes = Passes(self.own, signatures, kept=kept, not_again=not_again)
            yield Access(self.own, Dialer(LOOPBACK), passes, private_too=private_too)

    async def asked(self) -> list[tuple[object, ...]]:
        """Profile, requester and state of what the scaler asked the authorities for, oldest first."""
        return [
            tuple(row)
            for row in await self.world.rows(
                "SELECT profile, requester, state FROM sign_requests WHERE profile = 'scaler' ORDER BY created_at"
            )
        ]

    @asynccontextmanager
    async def _bus(self, service: str, role: str) -> AsyncIterator[Bus]:
        bus = make_bus(
            amqp_url=self.amqp,
            database_url=as_role(self.world.dsn, role),
            service=service,
            on_dead=_no_dead_letter,
            prefix=self.prefix,
        )
        await bus.start()
        try:
            yield bus
        finally:
            await bus.close()


@asynccontextmanager
async def open_gate(amqp: str | None) -> AsyncIterator[Gate]:
    """Around a database of its own."""
    async with migrated_database() as dsn:
        engine = make_engine(as_role(dsn, "jb_certs"), pool_size=8)
        own = make_engine(as_role(dsn, "jb_scaler"), pool_size=8)
        with ThreadPoolExecutor(2) as cpu:
            gate = Gate(World(dsn, engine, cpu, uuid4()), own, amqp)
            try:
                yield gate
            finally:
                await gate.endpoints.close()
                await asyncio.gather(engine.dispose(), own.dispose())


async def _no_dead_letter(letter: DeadLetter) -> None:
    raise AssertionError(f"unexpected dead letter: {letter.reason}")
