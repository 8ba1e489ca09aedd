"""What of a bay the cloud still shows, found by the marks that we wrote."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from typing_extensions import override

from services.provisioner.facts import groups_of
from shared.domain import names
from shared.domain.bay import Bay
from shared.openstack.cinder import Volume
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server, ServerGroup
from shared.openstack.stacks import StackSummary

MARK = "jeroboam_bay"
"""Metadata key on servers; its value is the bay's id."""


@dataclass(frozen=True)
class Leftovers:
    """Falsy when nothing is left."""

    stacks: tuple[StackSummary, ...]
    servers: tuple[Server, ...]
    volumes: tuple[Volume, ...]
    server_groups: tuple[ServerGroup, ...]

    def __bool__(self) -> bool:
        return bool(self.stacks or self.servers or self.volumes or self.server_groups)

    @override
    def __str__(self) -> str:
        parts = [f"stack {one.name}" for one in self.stacks]
        parts += [f"server {one.name} ({one.id})" for one in self.servers]
        parts += [f"volume {one.name} ({one.id})" for one in self.volumes]
        parts += [f"server group {one.name} ({one.id})" for one in self.server_groups]
        return ", ".join(parts)


async def find_leftovers(cloud: ProjectCloud, bay: Bay) -> Leftovers:
    """Stacks by tag, servers by metadata, volumes by the stack's name at the front of theirs, server groups by name."""
    stacks, servers, volumes, groups = await asyncio.gather(
        cloud.heat.list_by_tag(names.bay_tag(bay.id)),
        cloud.nova.servers(metadata={MARK: str(bay.id)}),
        cloud.cinder.volumes(name_prefix=bay.stack_name),
        find_server_groups(cloud, bay),
    )
    return Leftovers(tuple(stacks), tuple(servers), tuple(volumes), tuple(groups))


async def find_server_groups(cloud: ProjectCloud, bay: Bay) -> list[ServerGroup]:
    """All server groups with the bay's names, doubles among them; nothing is asked for a bay that has none."""
    if not groups_of(bay):
        return []
    return [one for one in await cloud.nova.server_groups() if names.group_owner(one.name) == bay.stack_name]


async def remove_leftovers(cloud: ProjectCloud, left: Leftovers) -> None:
    """Servers first, because they hold the volumes; a volume that is still held waits for the next look."""
    for server in left.servers:
        await cloud.nova.delete(server.id)
    for volume in left.volumes:
        if not volume.server_ids:
            await cloud.cinder.delete(volume.id)
    for group in left.server_groups:
        await cloud.nova.delete_server_group(group.id)
