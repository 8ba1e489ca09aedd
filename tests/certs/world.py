"""A bay in a real database and the certificate authority around it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.envelope import MasterKey
from services.certs.factory import Deps
from services.certs.key_cache import KeyCache
from services.certs.key_pool import KeyPool
from services.certs.key_store import BarbicanKeys, DatabaseKeys, Keys
from services.certs.master_key import EnvelopeSource
from services.certs.nodes import NodeCertificates
from services.certs.signer import Signer
from services.certs.steps import STEPS
from shared.bus import make_bus
from shared.bus.port import DeadLetter
from shared.db.engine import make_engine
from shared.db.repositories import operations, sign_requests
from shared.db.repositories.sign_requests import SignOutcome, SignState
from shared.db.tables import baymodels, bays
from shared.domain.bay_state import BayStatus
from shared.domain.operation import OperationKind, Service
from shared.drivers.contract import Driver
from shared.drivers.k8s_fedora_atomic.driver import K8sFedoraAtomic
from shared.openstack.auth import Credential
from shared.openstack.barbican import BarbicanClient
from shared.openstack.cloud import Cloud, CloudConfig
from shared.runtime.egress import EgressPolicy
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher
from tests.support.servers import database_url

ROLE: Final = "jb_certs"
MASTER_KEY: Final = base64.b64encode(os.urandom(32)).decode()
VALIDITY: Final = timedelta(days=5 * 365)
_OUTCOME: Final = text("""
    SELECT asked.state, asked.reason, made.pem
    FROM sign_requests AS asked LEFT JOIN certificates AS made ON made.id = asked.certificate_id WHERE asked.id = :id
""")


class Plain(K8sFedoraAtomic):
    """A driver whose bays have the three authorities and nothing else."""

    shares_service_account: ClassVar[bool] = False


def plain(_name: str) -> Driver:
    """Whatever the name."""
    return Plain()


def as_role(dsn: str, role: str) -> str:
    """The same database, as another role."""
    return database_url(urlsplit(dsn).path.lstrip("/"), role)


@dataclass
class World:
    """Everything that the service has in a process, without the process. Superuser access only for looking."""

    dsn: str
    engine: AsyncEngine
    cpu: Executor
    bay_id: UUID
    cache: KeyCache = field(default_factory=lambda: KeyCache(size=8, ttl=60.0))
    drivers: Callable[[str], Driver] = plain
    keys: Keys | None = None
    """Where keys are; None: in the database, and there is no Barbican."""

    def signer(self, master_key: str = MASTER_KEY) -> Signer:
        """A signer as another process of the service would have it: with a cache of its own."""
        keys = self.keys or database_keys(master_key)
        cache = KeyCache(size=8, ttl=60.0)
        return Signer(self.engine, keys, cache, self.cpu, VALIDITY, drivers=self.drivers)

    async def ask(
        self,
        csr: str,
        *,
        kind: str = "kubernetes",
        requester: str = "user-1",
        profile: str = sign_requests.OWNER_PROFILE,
        patience: timedelta = timedelta(minutes=1),
        validity_seconds: int | None = None,
    ) -> UUID:
        """Write a sign request as the gateway does, with the gateway's role."""
        gateway = make_engine(as_role(self.dsn, "jb_api"), pool_size=1)
        async with gateway.begin() as conn:
            request_id = await sign_requests.add(
                conn,
                bay_id=self.bay_id,
                authority_kind=kind,
                requester=requester,
                csr=csr,
                profile=profile,
                patience=patience,
                validity_seconds=validity_seconds,
            )
        await gateway.dispose()
        return request_id

    async def outcome(self, request_id: UUID) -> SignOutcome:
        """What the gateway reads, with the gateway's role."""
        gateway = make_engine(as_role(self.dsn, "jb_api"), pool_size=1)
        async with gateway.connect() as conn:
            row = (await conn.execute(_OUTCOME, {"id": request_id})).first()
        await gateway.dispose()
        assert row is not None
        return SignOutcome(SignState(row.state), row.reason, row.pem)

    async def signed(self, request_id: UUID) -> str:
        """The certificate; fails the test with the reason when there is none."""
        found = await self.outcome(request_id)
        assert found.state == "signed", found
        assert found.pem is not None
        return found.pem

    async def run_operation(self, kind: OperationKind, step: str, *, ends: bool = True) -> None:
        """Let the worker's dispatcher run one of our steps of such an operation; it `ends`, or is to be tried again."""
        timing = Timing.scaled(1.0)
        dispatcher = Dispatcher(Service.CERTS, self.engine, timing, STEPS, self.deps(), committed=lambda: None)
        operation_id = await self._start(kind, step)
        await dispatcher.look_at(operation_id)
        assert ends == (await self.column(f"SELECT step FROM operations WHERE id = '{operation_id}'") != [step])

    def deps(self) -> Deps:
        """What steps and handlers are given."""
        return Deps(
            engine=self.engine,
            bus=make_bus(amqp_url=None, database_url=self.dsn, service="certs", on_dead=_no_dead_letter),
            keys=self.keys or database_keys(),
            cache=self.cache,
            cpu=self.cpu,
            validity=VALIDITY,
            signer=self.signer(),
            nodes=NodeCertificates(self.signer()),
            rsa_keys=KeyPool(self.cpu, size=0),
            sweep_seconds=1.0,
        )

    async def make_authorities(self) -> None:
        """What a new bay gets."""
        await self.run_operation(OperationKind.CREATE, "create.authorities")

    async def column(self, query: str) -> list[object]:
        """The first column of what a superuser finds."""
        return [row[0] for row in await self.rows(query)]

    async def rows(self, query: str) -> Sequence[tuple[object, ...]]:
        """What a superuser finds."""
        admin = make_engine(self.dsn, pool_size=1)
        async with admin.begin() as conn:
            result = await conn.execute(text(query))
            found = [tuple(row) for row in result] if result.returns_rows else []
        await admin.dispose()
        return found

    async def _start(self, kind: OperationKind, step: str) -> UUID:
        """An operation that has come to that step, after whatever the bay had before."""
        admin = make_engine(self.dsn, pool_size=1)
        async with admin.begin() as conn:
            await conn.execute(text("UPDATE operations SET state = 'done'"))
            operation_id = await operations.enqueue(
                conn, bay_id=self.bay_id, kind=kind, request={}, requested_by="user-1", timeout_minutes=None
            )
            await conn.execute(
                text("UPDATE operations SET step = :step, service = 'certs' WHERE id = :id"),
                {"step": step, "id": operation_id},
            )
        await admin.dispose()
        return operation_id


def database_keys(master_key: str = MASTER_KEY) -> Keys:
    """Keys in the database under that master key, of a process whose cloud is nowhere."""
    nowhere = CloudConfig(Credential("http://127.0.0.1:1/v3", "jeroboam", SecretStr("unused")))
    barbican = Cloud(nowhere, EgressPolicy()).for_service().barbican
    database = database_place(master_key, barbican)
    return Keys(database, database, BarbicanKeys(barbican))


def database_place(master_key: str, barbican: BarbicanClient) -> DatabaseKeys:
    """The database alone."""
    return DatabaseKeys(EnvelopeSource(MasterKey.from_base64(master_key), None, barbican))


async def new_bay(dsn: str, name: str) -> UUID:
    """A bay of a Kubernetes baymodel, being created."""
    admin, model_id, bay_id = make_engine(dsn, pool_size=1), uuid4(), uuid4()
    owner = {"project_id": "project-1", "user_id": "user-1", "name": name}
    async with admin.begin() as conn:
        await conn.execute(insert(baymodels).values(id=model_id, coe="kubernetes", image_id="image", **owner))
        await conn.execute(
            insert(bays).values(
                id=bay_id,
                baymodel_id=model_id,
                driver="k8s_fedora_atomic",
                status=BayStatus.CREATE_IN_PROGRESS.value,
                stack_name=f"{name}-1",
                node_count=1,
                master_count=1,
                **owner,
            )
        )
    await admin.dispose()
    return bay_id


async def _no_dead_letter(letter: DeadLetter) -> None:
    raise AssertionError(f"unexpected dead letter: {letter.reason}")
