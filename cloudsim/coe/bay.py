"""What all engines have in common: machines, time that is looked up instead of waited for, and misbehaviour.

An engine's state moves on when somebody looks: `settle` makes happen what was due until now, in order. So a bay at
rest costs no timer, and in virtual time everything is as far as the clock was moved.
"""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import ClassVar, Literal

from cloudsim.clock import Clock
from cloudsim.coe.disks import Disks
from cloudsim.coe.misbehaviour import Kind, Misbehaviour, Misbehaviours
from cloudsim.coe.wire import Answer, Handler, Reply, Request

MIB = 1024 * 1024
State = Literal["well", "sick", "silent"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A server that runs a node."""

    name: str
    address: str = ""
    cpu: float = 2.0
    """Cores."""
    memory: int = 4096
    """MiB."""
    role: str = "worker"
    state: State = "well"
    """`sick`: its agent says that it cannot work; `silent`: nothing is heard of it."""
    labels: tuple[tuple[str, str], ...] = ()
    id: str = ""
    """The server's; another machine may come under the same name."""
    boots: int = 0
    """How often it was started again; what ailed it ends with that."""


Source = Callable[[], Iterable[Machine]]


@dataclass(order=True, slots=True)
class _Due:
    at: float
    serial: int
    act: Callable[[], None] = field(compare=False)


class Bay(ABC):
    """An engine. What is public may be called from tests at any time; `handle` is what the wire calls."""

    ENGINE: ClassVar[str]
    """What it is called."""
    DOES: ClassVar[frozenset[str]] = frozenset(
        {"add_node", "remove_node", "fail_node", "mend_node", "misbehave", "behave"}
    )
    """Methods that the control endpoint offers, with the arguments as JSON."""

    def __init__(self, clock: Clock, source: Source | None = None) -> None:
        self.clock = clock
        self.misbehaviours = Misbehaviours()
        self.requests: list[str] = []
        """The last requests, `METHOD path`, oldest first."""
        self.disks: Disks | None = None
        """Cinder's volumes, in a bay with a stack."""
        self.bay_id = ""
        self._source = source
        self._machines: dict[str, Machine] = {}
        self._failed: dict[str, tuple[State, int]] = {}
        self._due: list[_Due] = []
        self._serials = itertools.count(1)
        self._at = clock.elapsed()

    # ---- for people ----

    def add_node(
        self,
        name: str,
        *,
        cpu: float = 2.0,
        memory: int = 4096,
        role: str = "worker",
        address: str = "",
        labels: dict[str, str] | None = None,
    ) -> None:
        """A machine joins; `memory` in MiB, `role` worker or master."""
        told = tuple(sorted((labels or {}).items()))
        self.join(Machine(name, address, cpu, memory, role, labels=told))

    def join(self, *machines: Machine) -> None:
        """Many at once; those without an address get one."""
        for machine in machines:
            place = len(self._machines)
            address = machine.address or f"10.{place // 62_500}.{place // 250 % 250}.{place % 250 + 4}"
            self._machines[machine.name] = replace(machine, address=address)
        self.settle()

    def remove_node(self, name: str) -> None:
        """Its server is deleted; the engine hears nothing more of it.

        Raises:
            KeyError: there is no such node.
        """
        del self._machines[name]
        self._failed.pop(name, None)
        self.settle()

    def fail_node(self, name: str, *, silent: bool = True) -> None:
        """It stops answering; or, not silent, it says itself that it cannot work. A reboot of its server mends it.

        Raises:
            KeyError: there is no such node.
        """
        self._failed[name] = ("silent" if silent else "sick", self._known()[name].boots)
        self.settle()

    def mend_node(self, name: str) -> None:
        """It is well again."""
        self._failed.pop(name, None)
        self.settle()

    def misbehave(
        self,
        kind: Kind,
        *,
        path: str = "",
        method: str = "",
        count: int = 0,
        status: int = 503,
        message: str = "the server is currently unable to handle the request",
        seconds: float = 5.0,
    ) -> Misbehaviour:
        """From the next request on; see `Misbehaviour`."""
        return self.misbehaviours.add(
            Misbehaviour(kind, path, method, count=count, status=status, message=message, seconds=seconds)
        )

    def behave(self) -> None:
        """End all misbehaviour; what hangs goes on hanging."""
        self.misbehaviours.clear()

    def give(self, disks: Disks, bay: str) -> None:
        """Its work may use the volumes of the project that the bay of that id is in."""
        self.disks, self.bay_id = disks, bay

    # ---- for the wire ----

    def handle(self, request: Request) -> Answer:
        """Answer a request, rightly or as the misbehaviours say."""
        return self.answer(request, self.respond)

    def answer(self, request: Request, respond: Callable[[Request], Reply]) -> Answer:
        """`handle`, for one of several APIs."""
        self.requests = [*self.requests[-99:], f"{request.method} {request.path}"]
        instead = self.misbehaviours.instead(request)
        if instead is not None:
            return instead
        self.settle()
        found = respond(request)
        self.settle()
        dated = {"Date": formatdate(self.clock.now(), usegmt=True), **found.headers}
        return replace(found, headers=dated, after=found.after + self.misbehaviours.delay(request))

    def doors(self) -> dict[str, Handler]:
        """Its APIs by name; the first is the one that a bay's address means."""
        return {self.ENGINE: self.handle}

    @abstractmethod
    def respond(self, request: Request) -> Reply:
        """The engine's answer."""

    # ---- for engines ----

    @abstractmethod
    def machines_are(self, machines: dict[str, Machine]) -> None:
        """Which machines there are now, by name; called whenever somebody looks."""

    @abstractmethod
    def reconcile(self) -> None:
        """Bring the state to rest: what runs is what is wanted, as far as there is room."""

    @property
    def now(self) -> float:
        """Simulated seconds; while something due happens, the time at which it was due."""
        return self._at

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Make something happen then."""
        heapq.heappush(self._due, _Due(self._at + seconds, next(self._serials), act))

    def settle(self) -> None:
        """Let everything happen that was due until now."""
        until = self.clock.elapsed()
        while self._due and self._due[0].at <= until:
            due = heapq.heappop(self._due)
            self._at = max(self._at, due.at)
            due.act()
            self.reconcile()
        self._at = until
        self.machines_are(self._known())
        self.reconcile()

    def _known(self) -> dict[str, Machine]:
        found = {machine.name: machine for machine in (self._source() if self._source else ())}
        found |= self._machines
        for name, (state, boots) in [*self._failed.items()]:
            if name in found and found[name].boots > boots:
                del self._failed[name]
            elif name in found and found[name].state == "well":
                found[name] = replace(found[name], state=state)
        return found
