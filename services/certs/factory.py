"""Wiring: what the steps and handlers of this service are given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.key_cache import KeyCache
from services.certs.key_pool import KeyPool
from services.certs.key_store import BarbicanKeys, DatabaseKeys, Keys
from services.certs.master_key import MasterKeys, envelope_source
from services.certs.nodes import NodeCertificates
from services.certs.settings import CertsSettings
from services.certs.signer import Signer
from shared.bus.port import Bus
from shared.openstack.barbican import BarbicanClient
from shared.openstack.cloud import Cloud
from shared.worker.app import Wiring

CPU_THREADS: Final = 2
"""Signing lets go of the interpreter lock, so two threads use two cores and the loop stays free (libraries §7)."""

KEY_THREADS: Final = 1
"""RSA keys are made by a thread of their own, so that no signature waits behind one."""


@dataclass(frozen=True)
class Deps:
    """The frozen context of one process."""

    engine: AsyncEngine
    bus: Bus
    keys: Keys
    cache: KeyCache
    cpu: Executor
    validity: timedelta
    signer: Signer
    nodes: NodeCertificates
    rsa_keys: KeyPool
    sweep_seconds: float


@contextlib.asynccontextmanager
async def open_deps(settings: CertsSettings, masters: MasterKeys, wiring: Wiring) -> AsyncIterator[Deps]:
    """Build the context; at its end no signature is left half made. The cloud is used for Barbican only."""
    cloud = Cloud.from_settings(settings)
    keys = make_keys(settings, masters, cloud.for_service().barbican)
    cpu = ThreadPoolExecutor(CPU_THREADS, thread_name_prefix="certs-cpu")
    key_maker = ThreadPoolExecutor(KEY_THREADS, thread_name_prefix="certs-keys")
    cache = KeyCache(settings.key_cache_size, settings.key_cache_seconds)
    signer = Signer(
        wiring.engine, keys, cache, cpu, settings.validity, settings.node_validity, clients=settings.clients
    )
    try:
        yield Deps(
            engine=wiring.engine,
            bus=wiring.bus,
            keys=keys,
            cache=cache,
            cpu=cpu,
            validity=settings.validity,
            signer=signer,
            nodes=NodeCertificates(signer),
            rsa_keys=KeyPool(key_maker, size=settings.key_pool_size),
            sweep_seconds=settings.timing.sweep,
        )
    finally:
        await signer.close()
        await asyncio.to_thread(cpu.shutdown, cancel_futures=True)
        await asyncio.to_thread(key_maker.shutdown, cancel_futures=True)
        await cloud.close()


def make_keys(settings: CertsSettings, masters: MasterKeys, barbican: BarbicanClient) -> Keys:
    """The places for keys, as the settings choose."""
    database = DatabaseKeys(envelope_source(settings, masters, barbican))
    in_barbican = BarbicanKeys(barbican)
    return Keys(in_barbican if settings.certificate_store == "barbican" else database, database, in_barbican)
