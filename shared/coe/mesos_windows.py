"""Mesos' maintenance schedule: who closed which machine, and how the schedule looks afterwards. Pure.

The schedule is one list of windows for the whole cluster, written as a whole, and a machine may be in one window only.
Windows that others made are kept as they are. There is no place for a name in a window, so ours are told by how long
they last: ten days, and a number of nanoseconds below a second that is made from the mark. (Fifteen digits: a Mesos
that keeps numbers as floating ones writes no more.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.coe.reading import Doc, doc, docs, inner, maybe, whole

_SECOND: Final = 1_000_000_000
_DAYS: Final = 10 * 86_400 * _SECOND

ANY: Final = ""
"""A mark that stands for every mark of ours."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the schedule names it: what an agent says of itself."""

    hostname: str
    """In small letters: Mesos compares, and writes, them so."""
    ip: str

    def told(self) -> dict[str, str]:
        """For Mesos."""
        return {"hostname": self.hostname, "ip": self.ip}


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which machines are not to be relied on; nanoseconds. No duration: for ever."""

    machines: tuple[Machine, ...]
    start: int
    duration: int | None

    def ours(self, mark: str) -> bool:
        """Whether we made it, for that mark."""
        rest = -1 if self.duration is None else self.duration - _DAYS
        return 0 < rest < _SECOND if mark == ANY else rest == _number(mark)

    def now(self, moment: int) -> bool:
        """Whether it has begun and is not over."""
        return self.start <= moment and (self.duration is None or moment < self.start + self.duration)

    def told(self) -> dict[str, object]:
        """For Mesos."""
        times = {"start": {"nanoseconds": self.start}}
        if self.duration is not None:
            times["duration"] = {"nanoseconds": self.duration}
        return {"machine_ids": [one.told() for one in self.machines], "unavailability": times}


def read_schedule(data: object) -> tuple[Window, ...]:
    """The answer to /master/maintenance/schedule. Raises LookupError or TypeError for what makes no sense."""
    return tuple(_window(one) for one in docs(doc(data).get("windows")))


def _window(data: Doc) -> Window:
    machines = tuple(read_machine(one) for one in docs(data["machine_ids"]))
    times = doc(data["unavailability"])
    lasts = inner(times, "duration")
    duration = whole(lasts, "nanoseconds") if lasts else None
    return Window(machines, whole(doc(times["start"]), "nanoseconds"), duration)


def read_machine(data: Doc) -> Machine:
    """A machine's id; either part may be missing where a person wrote it."""
    return Machine(maybe(data, "hostname").lower(), maybe(data, "ip"))


def closed(windows: Iterable[Window], moment: int) -> set[Machine]:
    """The machines whose maintenance has begun."""
    return {machine for window in windows if window.now(moment) for machine in window.machines}


def held(windows: Iterable[Window], mark: str) -> set[Machine]:
    """The machines in our window for that mark."""
    return {machine for window in windows if window.ours(mark) for machine in window.machines}


def closing(
    windows: Sequence[Window], machines: Collection[Machine], mark: str, moment: int
) -> tuple[Window, ...] | None:
    """The schedule with these machines in a window of ours from now on; None: it is so already.

    What an earlier operation of ours closed is taken over. A machine in somebody else's window stays in it.
    """
    theirs = {one for window in windows if not window.ours(ANY) for one in window.machines}
    wanted = set(machines) - theirs
    if wanted <= held(windows, mark):
        return None
    kept = _without(windows, wanted)
    mine = next((window for window in kept if window.ours(mark)), Window((), moment, _DAYS + _number(mark)))
    added = replace(mine, machines=(*mine.machines, *sorted(wanted, key=lambda one: (one.ip, one.hostname))))
    return (*(window for window in kept if window is not mine), added)


def opening(windows: Sequence[Window], machines: Collection[Machine], mark: str) -> tuple[Window, ...] | None:
    """The schedule without these machines where they are in our window for that mark; None: they are not."""
    ours = set(machines) & held(windows, mark)
    return _without(windows, ours) if ours else None


def _without(windows: Iterable[Window], machines: Collection[Machine]) -> tuple[Window, ...]:
    left = (replace(one, machines=tuple(m for m in one.machines if m not in machines)) for one in windows)
    return tuple(window for window in left if window.machines)


def _number(mark: str) -> int:
    """What a mark makes of a duration: 1 to 999,999,999 nanoseconds."""
    return int.from_bytes(hashlib.sha256(mark.encode()).digest()[:8]) % (_SECOND - 1) + 1
