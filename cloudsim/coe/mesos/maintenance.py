"""Mesos' maintenance of machines: a schedule drains them, down ends what runs there, up brings them back."""

from __future__ import annotations

import json
from typing import Any

from cloudsim.coe.mesos.cluster import Cluster, MachineId, Object


class Refused(Exception):
    """400 in Mesos' words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _ids(told: Any) -> list[MachineId]:
    if not isinstance(told, list) or not told:
        raise Refused("List of machines is empty")
    found = []
    for one in told:
        key = (str(one.get("hostname", "")).lower(), str(one.get("ip", ""))) if isinstance(one, dict) else ("", "")
        if key == ("", ""):
            raise Refused("Both 'hostname' and 'ip' for a machine are empty")
        if key in found:
            raise Refused(f"Machine '{_named(key)}' appears more than once in the list")
        found.append(key)
    return found


def _named(key: MachineId) -> str:
    return json.dumps(_shown(key), separators=(",", ":"))


def _shown(key: MachineId) -> Object:
    return {name: value for name, value in zip(("hostname", "ip"), key, strict=True) if value}


def schedule(cluster: Cluster, told: Any) -> None:
    """Replace the schedule: what is in it drains, what was drained and is not in it any more is up.

    Raises:
        Refused: it is none, has a machine twice, or leaves out one that is down.
    """
    windows = told.get("windows", []) if isinstance(told, dict) else None
    if not isinstance(windows, list):
        raise Refused("Failed to convert JSON into a schedule")
    listed = [key for window in windows for key in _ids(window.get("machine_ids"))]
    for window in windows:
        if "start" not in window.get("unavailability", {}):
            raise Refused("Missing 'unavailability' of a window")
    if twice := next((key for key in listed if listed.count(key) > 1), None):
        raise Refused(f"Machine '{_named(twice)}' appears more than once in the schedule")
    for key, mode in cluster.modes.items():
        if mode == "DOWN" and key not in listed:
            raise Refused(f"Machine '{_named(key)}' is deactivated and cannot be removed from the schedule")
    cluster.modes = {key: cluster.modes.get(key, "DRAINING") for key in listed}
    cluster.windows = windows
    cluster.changes += 1


def begun(cluster: Cluster, machine: MachineId, now: float) -> bool:
    """Whether a machine is in a window that has begun and not ended; `now` in seconds of the epoch."""
    for window in cluster.windows:
        times = window["unavailability"]
        start = int(times["start"]["nanoseconds"]) / 1e9
        lasts = times.get("duration")
        open_now = start <= now and (lasts is None or now < start + int(lasts["nanoseconds"]) / 1e9)
        if open_now and machine in _ids(window["machine_ids"]):
            return True
    return False


def status(cluster: Cluster) -> Object:
    """Which machines drain, and which are down."""
    draining = [{"id": _shown(key)} for key, mode in cluster.modes.items() if mode == "DRAINING"]
    return {
        "draining_machines": draining,
        "down_machines": [_shown(k) for k, mode in cluster.modes.items() if mode == "DOWN"],
    }


def down(cluster: Cluster, told: Any) -> None:
    """End the agents of machines that drain.

    Raises:
        Refused: one of them does not.
    """
    keys = _ids(told)
    for key in keys:
        if key not in cluster.modes:
            raise Refused(f"Machine '{_named(key)}' is not part of a maintenance schedule")
        if cluster.modes[key] != "DRAINING":
            raise Refused(f"Machine '{_named(key)}' is not in DRAINING mode and cannot be brought down")
    for key in keys:
        cluster.modes[key] = "DOWN"
        for agent in [one.id for one in cluster.agents.values() if one.machine_id == key]:
            cluster.remove(agent)
    cluster.changes += 1


def up(cluster: Cluster, told: Any) -> None:
    """Bring machines back, out of the schedule.

    Raises:
        Refused: one of them is not down.
    """
    keys = _ids(told)
    for key in keys:
        if cluster.modes.get(key) != "DOWN":
            raise Refused(f"Machine '{_named(key)}' is not in DOWN mode and cannot be brought up")
    for key in keys:
        del cluster.modes[key]
    kept = []
    for window in cluster.windows:
        left = [
            one for one, key in zip(window["machine_ids"], _ids(window["machine_ids"]), strict=True) if key not in keys
        ]
        if left:
            kept.append({**window, "machine_ids": left})
    cluster.windows = kept
    cluster.changes += 1
