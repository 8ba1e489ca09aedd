"""Cinder volumes as a bay's work uses them: attached to the server where the work runs, free when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from cloudsim.store import Record

if TYPE_CHECKING:
    from cloudsim.world import World

REXRAY: Final = "rexray"
"""The volume driver by which docker uses Cinder in bays of ours."""
_DEVICE: Final = "/dev/vdc"
_REXRAY_SIZE: Final = 16
"""GB of what REX-Ray makes when nobody says how large it is to be."""


class Disks:
    """The volumes of the project that a bay is in. What the bay's stack has attached is none of its business."""

    def __init__(self, world: World, bay: str) -> None:
        self._world = world
        self._bay = bay
        self._held: dict[str, str] = {}

    def find(self, reference: str) -> str | None:
        """The id of a volume that is given by its id or name; None: the project has none."""
        found = self._volume(self._world.resolve("volume", reference))
        return found.id if found else None

    def make(self, name: str, size: int, **metadata: str) -> str | None:
        """A new volume of so many GB, and its id; None as long as the bay has no server that tells its project.

        Raises:
            ApiFault: the project's quota is used up.
        """
        project = self._project()
        attrs = {"name": name, "size": size, "status": "available", "metadata": metadata, "volume_type": "lvmdriver-1"}
        return self._world.create_volume(project, attrs).id if project else None

    def called(self, name: str, size: int = 0) -> str | None:
        """The id of the volume of that name, which is made if there is none: REX-Ray's way."""
        return self.find(name) or self.make(name, size or _REXRAY_SIZE)

    def remove(self, volume: str) -> None:
        """Delete one that nobody has attached."""
        if not self._world.store.find("volume_attachment", volume_id=volume):
            self._world.store.delete("volume", volume)

    def hold(self, wanted: Mapping[str, str]) -> None:
        """Have these volumes attached to these servers, by their ids, and no others of those that were attached so.

        A volume that another server has is left to it; it is attached when it has become free.
        """
        for volume, server in [*self._held.items()]:
            if wanted.get(volume) != server:
                del self._held[volume]
                for attachment in self._world.store.find("volume_attachment", volume_id=volume, server_id=server):
                    self._world.detach_volume(attachment)
        for volume, server in wanted.items():
            if volume not in self._held and self._free(volume) and self._world.store.get("server", server):
                self._world.attach_volume(self._project(), server, volume, _DEVICE)
                self._held[volume] = server

    def _free(self, volume: str) -> bool:
        known = self._volume(volume) is not None
        return known and not self._world.store.find("volume_attachment", volume_id=volume)

    def _volume(self, volume: str) -> Record | None:
        found = self._world.store.get("volume", volume)
        return found if found is not None and found.project_id == self._project() else None

    def _project(self) -> str:
        for server in self._world.store.list("server"):
            if (server.get("metadata") or {}).get("jeroboam_bay") == self._bay:
                return server.project_id
        return ""
