"""The HTTP APIs of Mesos' masters and of Marathon, as far as we call them. Everything raises CloudError.

Any master tells who leads (`/master/redirect`), by the address that the leader was started with. Only a master of this
bay is followed there, over the channel that we have to it; Location's own scheme, port and path do not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from shared.coe.connect import Answer, Channel
from shared.coe.errors import no_answer, sense
from shared.coe.mesos_state import Cluster, Marathon, read_cluster, read_marathon
from shared.coe.mesos_windows import Machine, Window, closed, read_machine, read_schedule
from shared.coe.reading import doc, docs, first_of

MESOS: Final = "mesos"
MARATHON: Final = "marathon"
_SCHEDULE: Final = "/master/maintenance/schedule"


@dataclass(frozen=True, slots=True)
class Master:
    """A way to a master."""

    channel: Channel
    names: frozenset[str]
    """By what Mesos may call it: its fixed address, which is what our nodes tell it, and other addresses and names."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything at one time, by the leader's clock in nanoseconds."""

    cluster: Cluster
    windows: tuple[Window, ...]
    moment: int


class Masters:
    """The masters of a bay."""

    def __init__(self, masters: Sequence[Master]) -> None:
        self._masters = tuple(masters)
        self._leader: Channel | None = None

    async def see(self) -> Seen:
        """Agents and tasks, and the maintenance schedule."""
        schedule = await self._call("GET", _SCHEDULE)
        state = await self._call("GET", "/master/state")
        moment = _moment(state)
        with sense(MESOS):
            windows = read_schedule(schedule.json())
            return Seen(read_cluster(doc(state.json()), closed(windows, moment)), windows, moment)

    async def schedule(self) -> tuple[tuple[Window, ...], int]:
        """The maintenance schedule, and the time."""
        answer = await self._call("GET", _SCHEDULE)
        with sense(MESOS):
            return read_schedule(answer.json()), _moment(answer)

    async def set_schedule(self, windows: Iterable[Window]) -> None:
        """Replace it."""
        await self._call("POST", _SCHEDULE, {"windows": [window.told() for window in windows]})

    async def down(self) -> set[Machine]:
        """The machines that Mesos has sent away."""
        answer = await self._call("GET", "/master/maintenance/status")
        with sense(MESOS):
            return {read_machine(one) for one in docs(doc(answer.json()).get("down_machines"))}

    async def send_away(self, machines: Iterable[Machine]) -> None:
        """End everything on these machines, which must be in the schedule, and their agents."""
        await self._call("POST", "/master/machine/down", [one.told() for one in machines])

    async def take_back(self, machines: Iterable[Machine]) -> None:
        """Let the agents of machines that were sent away come back; they leave the schedule."""
        await self._call("POST", "/master/machine/up", [one.told() for one in machines])

    async def close(self) -> None:
        """Close the connections."""
        for master in self._masters:
            await master.channel.close()

    async def _call(self, method: str, path: str, body: object | None = None) -> Answer:
        if self._leader is None:
            self._leader = await first_of(self._masters, self._find_leader)
        return await self._leader.call(method, path, json=body)

    async def _find_leader(self, master: Master) -> Channel:
        answer = await master.channel.call("GET", "/master/redirect", allow={307})
        with sense(MESOS):
            host = urlsplit(answer.headers["Location"]).hostname or ""
        for one in self._masters:
            if host in one.names:
                return one.channel
        raise no_answer(MESOS, f"it says that {host[:100] or 'nobody'} leads, which is no master of this bay")


class Marathons:
    """Marathon, at one or more addresses; each passes on to the one that leads."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = tuple(channels)

    async def see(self) -> Marathon:
        """Apps, tasks and what waits."""
        return await first_of(self._channels, _see)

    async def leader(self) -> None:
        """Ask who leads; 404 when nobody does."""
        await first_of(self._channels, lambda channel: channel.get("/v2/leader"))

    async def kill(self, tasks: Sequence[str]) -> None:
        """Kill these tasks; Marathon starts them again."""
        await first_of(self._channels, lambda channel: _kill(channel, tasks))

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()


async def _see(channel: Channel) -> Marathon:
    apps, tasks, queue = [await channel.get(f"/v2/{what}") for what in ("apps", "tasks", "queue")]
    with sense(MARATHON):
        return read_marathon(apps, tasks, queue)


async def _kill(channel: Channel, tasks: Sequence[str]) -> None:
    await channel.call("POST", "/v2/tasks/delete", params={"scale": "false"}, json={"ids": list(tasks)})


def _moment(answer: Answer) -> int:
    """The other side's clock, else ours; nanoseconds of the epoch."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()) * 1_000_000_000
    except ValueError:
        return time.time_ns()
