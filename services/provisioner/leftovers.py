"""What of a bay the cloud still shows, found by the marks that we wrote, and by those that its own services wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from services.provisioner.attached.finding import Attached, find_attached
from services.provisioner.attached.marks import VOLUME_KEY
from services.provisioner.attached.removing import Guard, remove
from services.provisioner.facts import groups_of
from shared.domain import names
from shared.domain.bay import Bay
from shared.domain.errors import CloudError
from shared.domain.labels import rules_of
from shared.drivers.common.labels import truth
from shared.openstack.cinder import Volume
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server, ServerGroup
from shared.openstack.stacks import StackSummary

MARK = "jeroboam_bay"
"""Metadata key on servers; its value is the bay's id."""

_CHOICE: Final = "delete_volumes"
_DELETABLE: Final = ("available", "error")
"""How the status of a volume begins that Cinder would delete; while it is another one, there is nothing to ask."""


@dataclass(frozen=True)
class Leftovers:
    """Falsy when nothing is left."""

    stacks: tuple[StackSummary, ...]
    servers: tuple[Server, ...]
    volumes: tuple[Volume, ...]
    server_groups: tuple[ServerGroup, ...]
    attached: Attached

    def __bool__(self) -> bool:
        return bool(self.stacks or self.servers or self.volumes or self.server_groups or self.attached)

    @override
    def __str__(self) -> str:
        parts = [f"stack {one.name}" for one in self.stacks]
        parts += [f"server {one.name} ({one.id})" for one in self.servers]
        parts += [f"volume {one.name} ({one.id})" for one in self.volumes]
        parts += [f"server group {one.name} ({one.id})" for one in self.server_groups]
        parts += [str(self.attached)] if self.attached else []
        return ", ".join(parts)


async def find_leftovers(cloud: ProjectCloud, bay: Bay, remembered: Collection[str] = ()) -> Leftovers:
    """Stacks by tag, servers by metadata, volumes by the stack's name at the front of theirs, server groups by name.

    And what its own services made, by the bay's id (`services.provisioner.attached`); their volumes only where the
    owner asked for that, because they are data: kept volumes are no leftovers. `remembered`: see `find_attached`.
    """
    stacks, servers, volumes, groups, attached = await asyncio.gather(
        cloud.heat.list_by_tag(names.bay_tag(bay.id)),
        cloud.nova.servers(metadata={MARK: str(bay.id)}),
        cloud.cinder.volumes(),
        find_server_groups(cloud, bay),
        find_attached(cloud, bay.id, bay.project_id, remembered=remembered),
    )
    ours = [one for one in volumes if one.name.startswith(bay.stack_name) or _is_to_go(one, bay)]
    return Leftovers(tuple(stacks), tuple(servers), tuple(ours), tuple(groups), attached)


async def find_server_groups(cloud: ProjectCloud, bay: Bay) -> list[ServerGroup]:
    """All server groups with the bay's names, doubles among them; nothing is asked for a bay that has none."""
    if not groups_of(bay):
        return []
    return [one for one in await cloud.nova.server_groups() if names.group_owner(one.name) == bay.stack_name]


async def remove_leftovers(cloud: ProjectCloud, left: Leftovers, guard: Guard) -> tuple[list[str], list[str]]:
    """Servers first, because they hold the volumes; what is still held waits for the next look.

    Returns:
        What Cinder will not delete however often it is asked, in its words: a volume with snapshots, for one. And what
        is said of those of the bay's services' things that are not gone yet.
    """
    for server in left.servers:
        await guard()
        await cloud.nova.delete(server.id)
    refused = []
    for volume in left.volumes:
        if not volume.server_ids and volume.status.startswith(_DELETABLE):
            await guard()
            refused += await _delete_volume(cloud, volume)
    for group in left.server_groups:
        await guard()
        await cloud.nova.delete_server_group(group.id)
    return refused, await remove(cloud, left.attached, guard)


async def _delete_volume(cloud: ProjectCloud, volume: Volume) -> list[str]:
    try:
        await cloud.cinder.delete(volume.id)
    except CloudError as error:
        if error.retryable:
            raise
        return [f"Volume {volume.id}: {error.message}"]
    return []


def _is_to_go(volume: Volume, bay: Bay) -> bool:
    return volume.metadata.get(VOLUME_KEY) == str(bay.id) and _volumes_go(bay)


def _volumes_go(bay: Bay) -> bool:
    """Whether the owner wants the volumes that the bay's containers asked for to go with the bay."""
    rules, labels = rules_of(bay.driver), bay.spec.get("labels")
    if _CHOICE not in rules or not isinstance(labels, Mapping):
        return False
    return truth(rules, labels, _CHOICE) is True
