"""What `/v1/mservices` shows (contract §1.16): Magnum has one conductor a host, we have three workers.

Clients and dashboards ask whether the host's conductor is up, so there is one entry a host under Magnum's name, which
is as well as the worst of its workers; `workers`, which Magnum does not have, tells of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Final

from shared.db.repositories.services import WorkerState

BINARY: Final = "magnum-conductor"
"""Magnum's word; clients and its own test suite look for it."""


def by_host(workers: Iterable[WorkerState]) -> list[dict[str, object]]:
    """One entry a host, in the order in which hosts were first heard of."""
    hosts = groupby(sorted(workers, key=lambda one: (one.host, one.id)), key=lambda one: one.host)
    entries = [_entry(list(there)) for _, there in hosts]
    return sorted(entries, key=lambda entry: int(str(entry["id"])))


def _entry(workers: list[WorkerState]) -> dict[str, object]:
    stalest = min(workers, key=lambda one: (one.state == "up", one.last_seen_up))
    disabled = next((one for one in workers if one.disabled), None)
    return asdict(stalest) | {
        "id": min(one.id for one in workers),
        "binary": BINARY,
        "disabled": disabled is not None,
        "disabled_reason": None if disabled is None else disabled.disabled_reason,
        "created_at": min(one.created_at for one in workers),
        "forced_down": any(one.forced_down for one in workers),
        "workers": [_worker(one) for one in workers],
    }


def _worker(one: WorkerState) -> dict[str, object]:
    told = ("binary", "state", "report_count", "last_seen_up")
    return {name: value for name, value in asdict(one).items() if name in told}
