"""Classic Swarm (the standalone manager before docker's swarm mode) as the port has it.

It cannot close a node, nor move a container: closing, opening and forgetting do nothing (an agent that is gone drops
out of the discovery by itself), and new containers may come to a node that leaves. A container counts as in the way, as
nobody would start it again, unless it asked for `reschedule:on-node-failure`: the manager starts such a one elsewhere
when its node is gone, if it was running then; so it is left running. With `force` the others are stopped.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from shared.coe.connect import Channel
from shared.coe.errors import sense
from shared.coe.port import Blocker, CoeNode, Look, Resources, Work
from shared.coe.reading import Doc, doc, docs, first_of, health_of, inner, items, maybe, short, text, texts
from shared.domain.errors import CloudError

SERVICE: Final = "docker"
NOT_AGAIN: Final = "classic Swarm does not move containers: nobody would start it again"
_OWN: Final = frozenset({"swarm-agent", "swarm-manager"})
"""Containers that our nodes run for the swarm itself."""
_POLICIES: Final = "com.docker.swarm.reschedule-policies"
_AGAIN: Final = "on-node-failure"
_UNITS: Final = {"B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_GRACE: Final = 5
"""Seconds in which a container may end by itself; docker answers when it has ended."""
_AT_ONCE: Final = 16
"""Containers stopped in one call of ours; their grace and four connections make at most 20 s of it."""


class ClassicSwarm:
    """A swarm; `managers` are channels to one or more of its managers, asked in this order."""

    def __init__(self, managers: Sequence[Channel]) -> None:
        self._managers = tuple(managers)

    async def health(self) -> Mapping[str, str]:
        """How the swarm is; a manager that answers no is told, no answer at all raises."""
        return await health_of(self._seen())

    async def look(self) -> Look:
        """Nodes and the containers that run on them. A container's own reservation is not told: what is reserved on its
        node is divided among them, so that sums are right. Nothing ever waits: what finds no node is refused."""
        nodes, containers = await first_of(self._managers, _all)
        return Look(tuple(one.seen for one in nodes), tuple(_works(nodes, containers)))

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Nothing: Swarm does not know that."""

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Nothing."""

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """The containers that would be lost; with `force` they are stopped, some at a time."""
        ids = {node.id for node in nodes}
        known, containers = await first_of(self._managers, _all)
        reached = {one.seen.id for one in known if one.seen.ready} & ids
        lost = [one for one in containers if one.node in reached and not one.own and not one.again]
        if not force:
            return [Blocker(one.name, NOT_AGAIN) for one in lost]
        now, later = lost[:_AT_ONCE], lost[_AT_ONCE:]
        await asyncio.gather(*(first_of(self._managers, one.stop) for one in now))
        return [Blocker(one.name, "") for one in later]

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Nothing: it drops out of the discovery by itself."""

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._managers:
            await channel.close()

    async def _seen(self) -> list[CoeNode]:
        return [one.seen for one in await first_of(self._managers, _engines)]


@dataclass(frozen=True, slots=True)
class Engine:
    """A node, and what is reserved on it."""

    seen: CoeNode
    reserved: Resources


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    id: str
    name: str
    node: str
    own: bool
    """Whether it belongs to the swarm itself."""
    again: bool
    """Whether the manager starts it elsewhere when its node is gone."""

    async def stop(self, channel: Channel) -> None:
        """Let it end, and kill it after a grace; one that is gone or has ended is left alone."""
        path = f"/containers/{quote(self.id, safe='')}/stop"
        await channel.call("POST", path, params={"t": str(_GRACE)}, allow={304, 404})


async def _engines(channel: Channel) -> list[Engine]:
    info = await channel.get("/info")
    with sense(SERVICE):
        return read_info(doc(info))


async def _all(channel: Channel) -> tuple[list[Engine], list[Container]]:
    engines = await _engines(channel)
    containers = await channel.get("/containers/json")
    with sense(SERVICE):
        return engines, [one for one in map(read_container, docs(containers)) if one is not None]


def read_info(info: Doc) -> list[Engine]:
    """The nodes in the answer to /info, whose lines are for people.

    Raises:
        CloudError: it is no classic manager.
        LookupError, TypeError, ValueError: it makes no sense.
    """
    pairs = items(info.get("SystemStatus") or info.get("DriverStatus"))  # before 1.2 the second
    lines = [(str(pair[0]), str(pair[1])) for pair in pairs if isinstance(pair, list)]
    if "Nodes" not in {key.strip("\b ") for key, _ in lines}:
        raise CloudError("The bay's Docker is no classic Swarm's manager.", service=SERVICE, retryable=True)
    found = list[tuple[str, str, dict[str, str]]]()
    for key, value in lines:
        if "\u2514" in key and found:
            found[-1][2][key.strip(" \t\u2514")] = value
        elif key.startswith(" "):
            found.append((key.strip(), value, {}))
    return [_engine(name, address, facts) for name, address, facts in found]


def _engine(name: str, address: str, facts: Mapping[str, str]) -> Engine:
    host, state = address.rpartition(":")[0].strip("[]"), facts.get("Status", "Healthy")
    error = facts.get("Error", "(none)")
    cpus, memories = facts.get("Reserved CPUs", "0 / 0"), facts.get("Reserved Memory", "0 B / 0 B")
    (cpu_used, cpu_has), (memory_used, memory_has) = _pair(cpus), _pair(memories)
    ready = state == "Healthy"
    told = "" if ready else f"Swarm says that it is {state.lower()}" + (f": {error}" if error != "(none)" else "")
    labels = dict(one.partition("=")[::2] for one in facts.get("Labels", "").split(", ") if "=" in one)
    known = short(name if name != "(unknown)" else host)
    capacity = Resources(cpu_has, int(memory_has))
    seen = CoeNode(
        known, known, (host,), ready, short(told), open=ready, manager=False, capacity=capacity, labels=labels
    )
    return Engine(seen, Resources(cpu_used, int(memory_used)))


def _pair(told: str) -> tuple[float, float]:
    """`0 B / 2.053 GiB`, `1 / 4`."""
    used, _, has = told.partition("/")
    return _amount(used), _amount(has)


def _amount(told: str) -> float:
    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*", told)
    if found is None:
        raise ValueError("no amount")
    return float(found[1]) * _UNITS[found[2].upper() or "B"]


def read_container(data: Doc) -> Container | None:
    """One of the answer to /containers/json; None for one that names no node."""
    names = [str(one).strip("/").split("/") for one in items(data["Names"])]
    place = next((one for one in names if len(one) == 2), None)  # a third part is another container's link to it
    if place is None:
        return None
    node, name = place
    labels = texts(inner(data, "Labels"))
    own = name in _OWN or maybe(data, "Image").partition(":")[0] == "swarm"
    return Container(text(data, "Id"), short(name), short(node), own, _AGAIN in labels.get(_POLICIES, ""))


def _works(nodes: Sequence[Engine], containers: Sequence[Container]) -> Iterable[Work]:
    for node in nodes:
        here = [one for one in containers if one.node == node.seen.id]
        share = max(1, sum(not one.own for one in here))
        asks = Resources(node.reserved.cpu / share, node.reserved.memory // share)
        for one in here:
            yield Work(
                one.name, one.node, Resources() if one.own else asks, stays=one.own, held=not one.own and not one.again
            )
