"""What of a bay the cloud still shows, found by the marks that we wrote."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from typing_extensions import override

from shared.domain import names
from shared.domain.bay import Bay
from shared.openstack.cinder import Volume
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server
from shared.openstack.stacks import StackSummary

MARK = "jeroboam_bay"
"""Metadata key on servers; its value is the bay's id."""


@dataclass(frozen=True)
class Leftovers:
    """Falsy when nothing is left."""

    stacks: tuple[StackSummary, ...]
    servers: tuple[Server, ...]
    volumes: tuple[Volume, ...]

    def __bool__(self) -> bool:
        return bool(self.stacks or self.servers or self.volumes)

    @override
    def __str__(self) -> str:
        parts = [f"stack {one.name}" for one in self.stacks]
        parts += [f"server {one.name} ({one.id})" for one in self.servers]
        parts += [f"volume {one.name} ({one.id})" for one in self.volumes]
        return ", ".join(parts)


async def find_leftovers(cloud: ProjectCloud, bay: Bay) -> Leftovers:
    """Stacks by tag, servers by metadata, volumes by the stack's name at the front of theirs."""
    stacks, servers, volumes = await asyncio.gather(
        cloud.heat.list_by_tag(names.bay_tag(bay.id)),
        cloud.nova.servers(metadata={MARK: str(bay.id)}),
        cloud.cinder.volumes(name_prefix=bay.stack_name),
    )
    return Leftovers(tuple(stacks), tuple(servers), tuple(volumes))


async def remove_leftovers(cloud: ProjectCloud, left: Leftovers) -> None:
    """Servers first, because they hold the volumes; a volume that is still held waits for the next look."""
    for server in left.servers:
        await cloud.nova.delete(server.id)
    for volume in left.volumes:
        if not volume.server_ids:
            await cloud.cinder.delete(volume.id)
