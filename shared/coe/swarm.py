"""Docker's swarm mode as the port has it, through any of its managers.

A node is closed with availability `pause` and a label, drained with `drain`. A manager sees what services run;
containers that somebody started by hand on a node are not seen, and go with it without a word. Managers are neither
closed, drained nor forgotten: leaving is a matter of their quorum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from shared.coe.connect import Channel
from shared.coe.port import Blocker, CoeNode, Look
from shared.coe.reading import Doc, first_of, health_of
from shared.coe.swarm_manager import SERVICE, Manager
from shared.coe.swarm_rules import bound, closed, drained, opened, plan, remaining
from shared.coe.swarm_state import SwarmNode
from shared.domain.errors import CloudError


class SwarmMode:
    """A swarm; `managers` are channels to one or more of its managers, asked in this order."""

    def __init__(self, managers: Sequence[Channel]) -> None:
        self._managers = [Manager(channel) for channel in managers]

    async def health(self) -> Mapping[str, str]:
        """How the swarm is; an answer without a swarm's leader is told, no answer at all raises."""
        return await health_of(self._seen())

    async def look(self) -> Look:
        """All nodes and the tasks of all services."""
        nodes, tasks = await first_of(self._managers, Manager.all)
        rooted = bound(nodes, tasks)
        works = tuple(task.work(bound=task.id in rooted) for task in tasks if task.lives)
        return Look(tuple(one.seen for one in nodes), works)

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Pause them, with the mark as a label."""
        _no_manager(nodes)
        await self._change(nodes, lambda node: closed(node, mark))

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Give them back the availability that they had, where the label is ours."""
        await self._change(nodes, lambda node: opened(node, mark))

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """Drain those whose tasks have room elsewhere, or all with `force`; what is still there or found no room."""
        _no_manager(nodes)
        ids = {node.id for node in nodes}
        known, tasks = await first_of(self._managers, Manager.all)
        leaving = [node for node in known if node.seen.id in ids]
        undrained = [node for node in leaving if drained(node) is not None]
        go, blockers = (undrained, []) if force else plan(undrained, [n for n in known if n.seen.id not in ids], tasks)
        if go:
            await self._change([node.seen for node in go], drained)
            _, tasks = await first_of(self._managers, Manager.all)
        going = ids - {node.seen.id for node in undrained} | {node.seen.id for node in go}
        return blockers + remaining(going, tasks, force=force)

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Remove them from the swarm. One that the managers still take for ready stays, and is a retryable error."""
        gone, kept = list(nodes), list[str]()
        _no_manager(gone)
        for node in gone:
            if not await first_of(self._managers, partial(Manager.remove, node=node.id)):
                kept.append(node.name)
        if kept:
            said = f"The swarm has not noticed yet that {', '.join(kept)} is gone."
            raise CloudError(said, service=SERVICE, retryable=True)

    async def close(self) -> None:
        """Close the connections."""
        for manager in self._managers:
            await manager.close()

    async def _seen(self) -> list[CoeNode]:
        return [node.seen for node in await first_of(self._managers, Manager.nodes)]

    async def _change(self, nodes: Iterable[CoeNode], change: Callable[[SwarmNode], Doc | None]) -> None:
        for node in nodes:
            await first_of(self._managers, partial(Manager.update, node=node.id, change=change))


def _no_manager(nodes: Iterable[CoeNode]) -> None:
    named = [node.name for node in nodes if node.manager]
    if named:
        raise CloudError(f"{', '.join(named)} manages the swarm: managers do not leave like nodes.", service=SERVICE)
