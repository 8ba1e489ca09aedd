"""Looking at other processes."""

from __future__ import annotations

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which only waits for its parent to notice, does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def gone(pid: int, limit: float = 20.0) -> bool:
    """Wait until a process that is not our child has ended; False when it does not."""
    give_up = time.monotonic() + limit
    while alive(pid):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True
