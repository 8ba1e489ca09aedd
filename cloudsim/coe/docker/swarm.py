"""A swarm's state: nodes, services and tasks as the managers have them, each with the version of its last change."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from cloudsim.coe.bay import MIB, Machine
from cloudsim.coe.disks import REXRAY
from cloudsim.coe.docker.replies import Object

NANO = 1_000_000_000
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ENDED = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")


class Swarm:
    """What the managers know, by id and in the order in which it came."""

    def __init__(self, stamp: Callable[[], str]) -> None:
        self.stamp = stamp
        self.index = 10
        self.nodes: dict[str, Object] = {}
        self.services: dict[str, Object] = {}
        self.tasks: dict[str, Object] = {}
        self.networks: dict[str, Object] = {}

    def made(self, facts: Object) -> Object:
        """A new object with id, version and times."""
        self.index += 1
        now = self.stamp()
        return {"ID": new_id(), "Version": {"Index": self.index}, "CreatedAt": now, "UpdatedAt": now, **facts}

    def touch(self, changed: Object) -> None:
        """It has changed."""
        self.index += 1
        changed["Version"], changed["UpdatedAt"] = {"Index": self.index}, self.stamp()

    def find(self, kind: dict[str, Object], reference: str) -> Object | None:
        """By id, name, or the beginning of an id that only one has."""
        if reference in kind:
            return kind[reference]
        named = [one for one in kind.values() if name_of(one) == reference]
        begun = [one for key, one in kind.items() if reference and key.startswith(reference)]
        return named[0] if named else begun[0] if len(begun) == 1 else None

    def join(self, machine: Machine, version: str) -> Object:
        """A machine becomes a node."""
        role = "manager" if machine.role == "master" else "worker"
        resources = {"NanoCPUs": int(machine.cpu * NANO), "MemoryBytes": machine.memory * MIB}
        engine: Object = {"EngineVersion": version, "Plugins": [], "Labels": dict(machine.labels)}
        platform = {"Architecture": "x86_64", "OS": "linux"}
        about = {"Hostname": machine.name, "Platform": platform, "Resources": resources, "Engine": engine}
        spec: Object = {"Labels": {}, "Role": role, "Availability": "active"}
        node = self.made({"Spec": spec, "Description": about, "Status": {"State": "ready", "Addr": machine.address}})
        if role == "manager":
            leads = not any(one.get("ManagerStatus", {}).get("Leader") for one in self.nodes.values())
            node["ManagerStatus"] = {"Reachability": "reachable", "Addr": f"{machine.address}:2377"}
            node["ManagerStatus"] |= {"Leader": True} if leads else {}
        self.nodes[node["ID"]] = node
        return node

    def on(self, node: str) -> Iterator[Object]:
        """Tasks that hold something there."""
        return (task for task in self.tasks.values() if task.get("NodeID") == node and not ended(task))


def new_id() -> str:
    """As docker's: 25 digits and letters."""
    number, found = uuid.uuid4().int, ""
    for _ in range(25):
        number, digit = divmod(number, len(_ALPHABET))
        found += _ALPHABET[digit]
    return found


def name_of(found: Object) -> str:
    """A service's or a node's name."""
    return str((found.get("Spec") or {}).get("Name") or (found.get("Description") or {}).get("Hostname") or "")


def ended(task: Object) -> bool:
    """Whether it holds nothing any more."""
    return task["Status"]["State"] in _ENDED


def wanted(task: Object) -> bool:
    """Whether it is to run."""
    return bool(task["DesiredState"] == "running")


def asks(task: Object) -> tuple[int, int]:
    """Billionths of cores, and bytes, that it reserves."""
    found = ((task["Spec"].get("Resources") or {}).get("Reservations")) or {}
    return int(found.get("NanoCPUs") or 0), int(found.get("MemoryBytes") or 0)


def mounts(task: Object) -> Iterator[tuple[str, int]]:
    """Name, and GB when they are said, of the volumes of REX-Ray's that a task mounts."""
    for mount in (task["Spec"].get("ContainerSpec") or {}).get("Mounts") or ():
        driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
        if mount.get("Type") == "volume" and driver.get("Name") == REXRAY:
            yield str(mount["Source"]), int((driver.get("Options") or {}).get("size") or 0)
