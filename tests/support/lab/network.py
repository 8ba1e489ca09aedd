"""A cluster's network: a bridge in a namespace of its own, and one namespace a node with one address on that bridge.

No packet of it reaches the machine's own network, nor the other way round: from outside, a connection to 10.0.0.x would
leave the machine. What nodes are to reach, the gateway and the cloud on this machine's loopback, is relayed: a socket
that listens inside is handed out to us, and we carry each connection on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Network, ip_address

from tests.support.lab.shell import LabError, run

GATEWAY = "10.0.0.1"
"""The side of the bridge where the services are reached, by the very ports that they have on the loopback."""
PREFIX = 24
_WHOLE = IPv4Network(f"{GATEWAY}/{PREFIX}", strict=False)

_HAND_OUT = """
import socket, sys
door = socket.create_server((sys.argv[2], int(sys.argv[3])), backlog=128)
with socket.socket(fileno=int(sys.argv[1])) as out:
    socket.send_fds(out, [b"x"], [door.fileno()])
"""


class Network:
    """One cluster's network; `name` is its namespace. Enter it, and it is there; leave it, and nothing of it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cleanup = AsyncExitStack()
        self._links = 0

    async def up(self) -> None:
        """Make the namespace and the bridge."""
        await self._add(self.name)
        for line in (
            "link add br0 type bridge forward_delay 0",
            f"addr add {GATEWAY}/{PREFIX} dev br0",
            "link set br0 up",
        ):
            await run("ip", "-n", self.name, *line.split())

    async def down(self) -> None:
        """End the relays and remove the namespaces, with all that is in them."""
        await self._cleanup.aclose()

    async def attach(self, namespace: str, address: str) -> None:
        """Make a node's namespace, with `eth0` of that address on the bridge.

        Raises:
            LabError: the address is not of this network.
        """
        if ip_address(address) not in _WHOLE:
            raise LabError(f"{address} is not in {_WHOLE}")
        await self._add(namespace)
        self._links += 1
        port = f"port{self._links}"
        add = ["link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", port, "netns", self.name]
        await run("ip", *add)
        await run("ip", "-n", self.name, "link", "set", port, "master", "br0", "up")
        for line in (f"addr add {address}/{PREFIX} dev eth0", "link set eth0 up", f"route add default via {GATEWAY}"):
            await run("ip", "-n", namespace, *line.split())

    async def relay(self, port: int) -> None:
        """Let nodes reach this machine's 127.0.0.1:port as GATEWAY:port."""
        door = await _listening(self.name, GATEWAY, port)
        carried: set[asyncio.Task[None]] = set()

        def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(_carry(reader, writer, port=port))
            carried.add(task)  # a connection whose node is gone would be forgotten, and so be collected as it waits
            task.add_done_callback(carried.discard)

        server = await asyncio.start_server(carry, sock=door)

        async def end() -> None:
            server.close()
            for task in carried:
                task.cancel()
            await asyncio.gather(*carried, return_exceptions=True)

        self._cleanup.push_async_callback(end)

    async def inside(self, *command: str, limit: float = 60.0, check: bool = True) -> str:
        """Run a command as a machine on the gateway's side would: every client of a cluster belongs in here."""
        return await run("nsenter", f"--net=/run/netns/{self.name}", *command, limit=limit, check=check)

    async def _add(self, namespace: str) -> None:
        await run("ip", "netns", "add", namespace)
        self._cleanup.push_async_callback(run, "ip", "netns", "del", namespace, check=False)
        await run("ip", "-n", namespace, "link", "set", "lo", "up")


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, port: int) -> None:
    """Carry one connection on to the loopback, until both sides have said all."""
    with suppress(OSError):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            await _closed(far_writer)
    await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _listening(namespace: str, address: str, port: int) -> socket.socket:
    """A socket that listens in another namespace: made by a child in there, which hands it out and ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        child = await asyncio.create_subprocess_exec(
            *("nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-I", "-S", "-c", _HAND_OUT),
            *(str(theirs.fileno()), address, str(port)),
            pass_fds=[theirs.fileno()],
        )
        if await child.wait():
            raise LabError(f"nothing could listen on {address}:{port} in {namespace}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    os.set_blocking(descriptors[0], False)
    return socket.socket(fileno=descriptors[0])
