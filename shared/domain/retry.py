"""How long to wait before a step is tried again, and how often (architecture, Retries)."""

from __future__ import annotations

import random
from datetime import timedelta

CRASHES_ALLOWED = 5
"""A step claimed so often without an outcome fails: the worker stopped in it each time."""

SURPRISES_ALLOWED = 3
"""A step that ended so often in an exception nobody expected fails."""

FAILURES_ALLOWED = 120
"""Failures in a row of a step of an operation that has no deadline: about two hours at a minute each."""

STALL_SECONDS = 7200.0
"""An operation without a deadline may wait so long for a stack in which nothing changes."""

_BASE, _CAP, _SPREAD = 2.0, 60.0, 0.3


def backoff(failures: int, *, wish: float | None = None) -> timedelta:
    """2 s doubled with each failure, spread by 30 %, 60 s at most; never sooner than the service's own `wish` (s)."""
    plain = min(_BASE * 2.0 ** min(max(failures - 1, 0), 10), _CAP)
    spread = min(plain * random.uniform(1 - _SPREAD, 1 + _SPREAD), _CAP)
    return timedelta(seconds=max(spread, wish or 0.0))
