"""Mesos with Marathon as the port has it.

A node is closed by a window in Mesos' maintenance schedule (shared/coe/mesos_windows.py): frameworks see it in their
offers and are asked to leave. Marathon heeds that from 1.7 on (1.6 with `--enable_features maintenance_mode`), and
before it may start tasks there all the same. The node is drained by killing Marathon's tasks bit by bit
(shared/coe/mesos_rules.py); what other frameworks run is theirs to move. `force` ends what is left by sending the
machine away. An agent that is gone leaves Mesos' list by itself, but the schedule knows machines by their addresses,
which a new server may get: so what is forgotten leaves our windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from shared.coe.connect import Channel
from shared.coe.mesos_api import MESOS, Marathons, Master, Masters, Seen
from shared.coe.mesos_rules import step
from shared.coe.mesos_state import away, machine_of, works
from shared.coe.mesos_windows import ANY, Machine, Window, closing, held, opening
from shared.coe.port import Blocker, CoeNode, Look
from shared.coe.reading import health_of
from shared.domain.errors import CloudError

_TRIES: Final = 3
_SECOND: Final = 1_000_000_000


class Mesos:
    """A cluster; `masters` are the ways to Mesos, `marathons` those to Marathon, asked in this order."""

    def __init__(self, masters: Sequence[Master], marathons: Sequence[Channel]) -> None:
        self._masters = Masters(masters)
        self._marathons = Marathons(marathons)

    async def health(self) -> Mapping[str, str]:
        """How Mesos and Marathon are. What is wrong with them is told, but for a Mesos that does not answer at all."""
        told = await health_of(self._agents())
        try:
            await self._marathons.leader()
        except CloudError as error:
            told["api"] = error.message
        return told

    async def look(self) -> Look:
        """All agents, the tasks of all frameworks, and what Marathon has no place for.

        A machine in a window of ours without an agent is a node too: it is to be opened or forgotten.
        """
        seen, marathon = await self._masters.see(), await self._marathons.see()
        nodes = (*seen.cluster.agents, *away(seen.cluster, held(seen.windows, ANY)))
        return Look(nodes, tuple(works(seen.cluster, marathon)))

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Put them into a maintenance window of ours. One that is in somebody else's stays in that."""
        machines = _machines(nodes)
        await self._reschedule(lambda windows, moment: closing(windows, machines, mark, moment))

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Take them out of our window, and back if they were sent away."""
        await self._take_out(_machines(nodes), mark)

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """Kill what Marathon may start elsewhere now; with `force` all of it, and then the agents."""
        seen, marathon = await self._masters.see(), await self._marathons.see()
        known = {node.id: node for node in seen.cluster.agents}
        leaving = {node.id: _closed_at(known[node.id], seen) for node in nodes if node.id in known}
        now = step(seen.cluster, marathon, leaving, force=force)
        if now.kill:
            await self._marathons.kill(now.kill)
        if force and now.end and now.blockers:
            await self._masters.send_away(_machines(known[one] for one in leaving))
            return []
        return list(now.blockers)

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Take them out of every window of ours. The master drops an agent that it has not heard of for 75 s."""
        await self._take_out(_machines(nodes), ANY)

    async def close(self) -> None:
        """Close the connections."""
        await self._masters.close()
        await self._marathons.close()

    async def _agents(self) -> list[CoeNode]:
        return list((await self._masters.see()).cluster.agents)

    async def _take_out(self, machines: Sequence[Machine], mark: str) -> None:
        windows, _ = await self._masters.schedule()
        ours = held(windows, mark) & set(machines)
        down = ours & await self._masters.down() if ours else set()
        if down:
            await self._masters.take_back(down)  # it cannot leave the schedule otherwise
        await self._reschedule(lambda now, _: opening(now, machines, mark))

    async def _reschedule(self, change: Callable[[Sequence[Window], int], Sequence[Window] | None]) -> None:
        """Change the schedule, and look whether it stayed so.

        Mesos replaces the schedule by what it is sent and knows no versions: who reads and writes between our reading
        and our writing is overwritten by us, or overwrites us. The second we see, and begin anew.
        """
        for _ in range(_TRIES):
            wanted = change(*await self._masters.schedule())
            if wanted is None:
                return
            await self._masters.set_schedule(wanted)
        if change(*await self._masters.schedule()) is not None:
            raise CloudError("Somebody else changes Mesos' maintenance schedule too.", service=MESOS, retryable=True)


def _machines(nodes: Iterable[CoeNode]) -> list[Machine]:
    return [machine_of(node) for node in nodes]


def _closed_at(node: CoeNode, seen: Seen) -> float:
    """When it was closed, in seconds of the epoch; now, where it is in no window."""
    begun = [window.start for window in seen.windows if machine_of(node) in window.machines]
    return min([seen.moment, *begun]) / _SECOND
