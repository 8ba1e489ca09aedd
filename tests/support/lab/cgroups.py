"""A cgroup for each node, in every hierarchy that is mounted: systemd in the node needs one, and we find by it all that
runs in the node when it is to end, however it began."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.support.lab.shell import LabError

_KINDS = {"cgroup", "cgroup2"}
_PATIENCE = 200


def make(name: str) -> list[Path]:
    """Make it everywhere; gives the files to which a process writes its id in order to belong to it."""
    return [_made(root / name) / "cgroup.procs" for root in _hierarchies()]


async def end(name: str) -> None:
    """Kill whatever is in it and remove it. Raises LabError when processes do not go."""
    places = [root / name for root in _hierarchies() if (root / name).is_dir()]
    for _ in range(_PATIENCE):
        found = {pid for place in places for pid in _processes(place)}
        if not found:
            break
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
    else:
        raise LabError(f"processes of {name} do not end")
    for place in places:
        for folder, _, _ in os.walk(place, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def named(prefix: str) -> set[str]:
    """The names of those that begin so."""
    return {found.name for root in _hierarchies() for found in root.glob(f"{prefix}*") if found.is_dir()}


def _hierarchies() -> list[Path]:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(fields[1]) for fields in mounts if fields[2] in _KINDS]


def _made(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # in the first version, empty ones admit nobody
        if (place / name).exists() and (place.parent / "cpuset.cpus").exists():
            with suppress(OSError):
                (place / name).write_text((place.parent / name).read_text())
    return place


def _processes(place: Path) -> set[int]:
    found: set[int] = set()
    for folder, _, _ in os.walk(place):
        with suppress(OSError):
            found |= {int(line) for line in (Path(folder) / "cgroup.procs").read_text().split()}
    return found
