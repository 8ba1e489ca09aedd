"""A cluster's nodes with their network, from the first boot to the last trace of them removed."""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support.lab import cgroups, image, machine
from tests.support.lab.network import Network
from tests.support.lab.node import Machine, Node
from tests.support.lab.shell import run


class Lab:
    """Enter it for an empty network, boot machines on it, leave it and all is gone.

    `ports` are those of this machine's loopback that the nodes may reach, at `network.GATEWAY`.
    """

    def __init__(self, ports: Sequence[int] = ()) -> None:
        self._mark = f"jb-{secrets.token_hex(3)}"
        self._folder = _runs() / self._mark
        self._ports = tuple(ports)
        self._held: IO[str] | None = None
        self.network = Network(self._mark)
        self.nodes: dict[str, Node] = {}

    async def __aenter__(self) -> Self:
        await remove_leftovers()
        await image.layers()
        self._held = _hold(self._folder)
        try:
            await self.network.up()
            for port in self._ports:
                await self.network.relay(port)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(await self.story())
        await self._end()

    async def boot(self, *machines: Machine) -> list[Node]:
        """Boot machines side by side; gives the nodes when all of them take commands. Raises LabError."""
        return list(await asyncio.gather(*map(self._boot, machines)))

    async def story(self) -> str:
        """What the nodes' logs say."""
        return "\n".join(await asyncio.gather(*(node.story() for node in self.nodes.values())))

    async def _boot(self, wanted: Machine) -> Node:
        mark = f"{self._mark}-{len(self.nodes) + 1}"
        node = self.nodes[wanted.name] = Node(wanted, mark, mark, self._folder / wanted.name)
        await self.network.attach(mark, wanted.address)
        await node.boot()
        return node

    async def _end(self) -> None:
        ends: list[Callable[[], Coroutine[Any, Any, None]]] = [node.down for node in self.nodes.values()]
        done = await asyncio.gather(*(end() for end in ends), return_exceptions=True)
        await self.network.down()
        if self._held is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._held.close()
        for failed in (one for one in done if isinstance(one, BaseException)):
            raise failed


async def remove_leftovers() -> None:
    """Remove what labs of processes that were killed have left: they cannot hold their folders any more."""
    for folder in sorted(_runs().glob("jb-*")):
        try:
            held = _hold(folder)
        except BlockingIOError:
            continue
        for name in cgroups.named(f"{folder.name}-"):
            await cgroups.end(name)
        for root in sorted(folder.glob("*/" + "root")):
            await run("umount", str(root), check=False)
        for device in await _loop_devices(folder):
            await run("losetup", "--detach", device, check=False)
        for line in (await run("ip", "netns", "list")).splitlines():
            if line.split()[0].startswith(folder.name):
                await run("ip", "netns", "del", line.split()[0], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        held.close()


async def _loop_devices(folder: Path) -> list[str]:
    listed = await run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE", check=False)
    pairs = (line.split(maxsplit=1) for line in listed.splitlines())
    return [pair[0] for pair in pairs if len(pair) > 1 and pair[1].startswith(f"{folder}/")]


def _runs() -> Path:
    return machine.home() / "runs"


def _hold(folder: Path) -> IO[str]:
    """Raises BlockingIOError when a living lab holds the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    held = (folder / "lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise
    return held
