"""CPU time out of /proc: of the machine, and of a process with all that it started."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What was used until now: seconds of the clock, of the machine's idling and of CPU by name."""

    at: float
    idle: float
    busy: float
    cpu: Mapping[str, float]

    @classmethod
    def now(cls, roots: Mapping[str, int]) -> Self:
        """`roots`: the process at the head of each name's tree; of our own process without those it started."""
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = fields[3] + fields[4]
        parents = _stats()
        cpu = {
            name: (time.process_time() if pid == os.getpid() else _tree(parents, pid) / _TICKS)
            for name, pid in roots.items()
        }
        return cls(time.monotonic(), idle / _TICKS, (sum(fields) - idle) / _TICKS, cpu)

    def idle_percent(self, since: Usage) -> float:
        """How much of all cores did nothing, per cent."""
        idle, busy = self.idle - since.idle, self.busy - since.busy
        return 100 * idle / (idle + busy)

    def cpu_ms(self, since: Usage, count: int) -> dict[str, float]:
        """CPU in ms for each of `count`, by name."""
        return {name: (used - since.cpu[name]) * 1000 / max(count, 1) for name, used in self.cpu.items()}


def _stats() -> dict[int, tuple[int, int]]:
    """Parent and ticks of every process; ticks include those of children that ended."""
    found: dict[int, tuple[int, int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with suppress(OSError):
                words = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = int(words[1]), sum(int(word) for word in words[11:15])
    return found


def _tree(stats: Mapping[int, tuple[int, int]], root: int) -> int:
    own = stats.get(root, (0, 0))[1]
    return own + sum(_tree(stats, pid) for pid, (parent, _) in stats.items() if parent == root)
