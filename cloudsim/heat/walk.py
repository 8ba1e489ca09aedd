"""Visiting things in dependency order, as many at once as the order allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

from cloudsim.heat.errors import StackValidationFailed

N = TypeVar("N", bound=Hashable)
# Does at once what can be done at once; what must be waited for is started by calling the answer.
Visit = Callable[[N], "Callable[[], Awaitable[None]] | None"]


class Walk(Generic[N]):
    """The running part of a walk: tasks that are under way and a bell that rings when one ends."""

    __slots__ = ("_bell", "ended", "tasks")

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended: list[tuple[N, asyncio.Task[None]]] = []
        self._bell: asyncio.Future[None] | None = None

    def start(self, node: N, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for one node in a task of its own."""
        task = asyncio.get_running_loop().create_task(_run(wait))
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._end(node, done))

    def _end(self, node: N, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.ended.append((node, task))
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def next_ended(self) -> list[tuple[N, asyncio.Task[None]]]:
        """Those that ended since the last call; waits for at least one."""
        if not self.ended:
            self._bell = asyncio.get_running_loop().create_future()
            await self._bell
            self._bell = None
        ended, self.ended = self.ended, []
        return ended

    async def abandon(self) -> None:
        """Cancel what is under way and wait until it is gone."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


async def _run(wait: Callable[[], Awaitable[None]]) -> None:
    await wait()


async def walk(needs: Mapping[N, Collection[N]], visit: Visit[N]) -> None:
    """Visit every node after the nodes that it needs. The first failure cancels what is under way and is raised."""
    missing = {node: len(others) for node, others in needs.items()}
    followers: dict[N, list[N]] = {}
    for node, others in needs.items():
        for other in others:
            followers.setdefault(other, []).append(node)
    ready = [node for node, count in missing.items() if not count]
    running: Walk[N] = Walk()
    try:
        while ready or running.tasks or running.ended:
            done: list[N] = []
            for node in ready:
                wait = visit(node)
                if wait is None:
                    done.append(node)
                else:
                    running.start(node, wait)
            if not done:
                for finished, task in await running.next_ended():
                    task.result()
                    done.append(finished)
            ready = _released(done, missing, followers)
    finally:
        await running.abandon()


def _released(done: list[N], missing: dict[N, int], followers: Mapping[N, list[N]]) -> list[N]:
    ready = []
    for node in done:
        for follower in followers.get(node, ()):
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    return ready


def check_acyclic(needs: Mapping[str, Collection[str]]) -> None:
    """Raise StackValidationFailed when names need one another in a circle."""
    left = {name: set(others) for name, others in needs.items()}
    while free := [name for name, others in left.items() if not others]:
        for name in free:
            del left[name]
        for others in left.values():
            others.difference_update(free)
    if left:
        raise StackValidationFailed(f"Circular Dependency Found: {', '.join(sorted(left))}")
