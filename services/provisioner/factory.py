"""Wiring: what the steps and the sweep of this service are given."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.provisioner.attest.members import Members
from services.provisioner.notified import Notified
from services.provisioner.settings import ProvisionerSettings
from shared.bus.port import Bus
from shared.domain.bay import Bay
from shared.drivers import registry
from shared.drivers.common import sources
from shared.drivers.contract import Driver
from shared.openstack.cloud import Cloud, ProjectCloud
from shared.runtime.secrets import read_secret_file
from shared.worker.app import Wiring


@dataclass(frozen=True)
class Deps:
    """The frozen context of one process."""

    engine: AsyncEngine
    bus: Bus
    cloud: Cloud
    settings: ProvisionerSettings
    seal_private_key: str | None
    node_sources: Mapping[str, str]
    members: Members
    notified: Notified

    def project(self, bay: Bay) -> ProjectCloud:
        """The cloud as our service user sees it in the bay's project."""
        return self.cloud.for_project(bay.project_id)

    def driver(self, bay: Bay) -> Driver:
        """The driver that the bay was born with. Raises InvalidInput when this release does not have it."""
        return registry.by_name(bay.driver)


@contextlib.asynccontextmanager
async def open_deps(settings: ProvisionerSettings, wiring: Wiring) -> AsyncIterator[Deps]:
    """Build the context and close its connections at the end."""
    key_file, sources_file = settings.seal_private_key_file, settings.node_sources_file
    cloud = Cloud.from_settings(settings, cloud_wide=settings.cloud_wide_listing)
    try:
        yield Deps(
            engine=wiring.engine,
            bus=wiring.bus,
            cloud=cloud,
            settings=settings,
            seal_private_key=None if key_file is None else read_secret_file(key_file),
            node_sources={} if sources_file is None else sources.parse(sources_file.read_text()),
            members=Members(),
            notified=Notified(settings, wiring.engine, cloud.stacks, wiring.wake),
        )
    finally:
        await cloud.close()
