"""Volumes: a sparse file behind a loop device, which a node finds under the name that Nova's hypervisors give it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.lab.shell import LabError, run

_GIGABYTES = 2
_BY_ID = "disk/by-id"


@dataclass(frozen=True)
class Disk:
    """One attached volume."""

    volume_id: str
    device: Path

    @classmethod
    async def attach(cls, folder: Path, volume_id: str) -> Self:
        """Make the file and attach it to a free loop device. Raises LabError where there is none."""
        folder.mkdir(exist_ok=True)
        image = folder / volume_id
        with image.open("wb") as file:
            file.truncate(_GIGABYTES * 2**30)
        return cls(volume_id, Path((await run("losetup", "--find", "--show", str(image))).strip()))

    @property
    def rule(self) -> str:
        """What udev in the node is told: a loop device has no serial number that it could be known by."""
        return f'KERNEL=="{self.device.name}", SYMLINK+="{_BY_ID}/virtio-{self.volume_id[:20]}"\n'

    async def detach(self) -> None:
        """Let go of the loop device; the file goes with the node's folder."""
        try:
            await run("losetup", "--detach", str(self.device))
        except LabError:
            if (await run("losetup", "--noheadings", str(self.device), check=False)).strip():
                raise
