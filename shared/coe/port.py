"""What the scaler asks of the engine that runs in a bay, the same for Kubernetes, Swarm and Mesos.

Every method makes few calls, of at most `CALL_SECONDS` each, and never waits for work to end: who wants that asks
again. All of them raise CloudError with `service` "kubernetes", "docker", "mesos" or "marathon", retryable unless the
bay's API said no: an API that hangs, lies or refuses our certificate is an error of that bay alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.domain.bay import Node

CALL_SECONDS: Final = 10.0
"""How long one call may take, from connecting to the last byte."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a node has, or what work asks for."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True)
class CoeNode:
    """A node as the engine sees it."""

    id: str
    """The engine's own: a Kubernetes name, a docker node id, a Mesos agent id."""
    name: str
    addresses: tuple[str, ...]
    ready: bool
    problem: str
    """Why it is not ready; empty when it is."""
    open: bool
    """Whether it takes new work."""
    manager: bool
    """Whether it belongs to the control plane."""
    capacity: Resources
    """What work may use of it."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """A pod, a task of a service, a task of Marathon."""

    name: str
    """As people of that engine write it: `namespace/pod`, `service.slot`, `/app`."""
    node: str | None
    """Id of the node that it runs on; None: none yet."""
    asks: Resources
    stays: bool
    """Whether it goes with its node and is not moved: a DaemonSet's or mirror pod, a global service's task."""
    waiting: str = ""
    """Why it cannot be placed for want of room or of nodes; empty when it is not that which it waits for."""
    held: bool = False
    """Whether a drain would not move it without force: nobody would start it again, it cannot be anywhere else, or a
    disruption budget that allows nothing keeps it."""


@dataclass(frozen=True, slots=True)
class Look:
    """A bay's nodes and work at one time."""

    nodes: tuple[CoeNode, ...]
    works: tuple[Work, ...]

    def find(self, node: Node) -> CoeNode | None:
        """The engine's view of a server, by its name or else its addresses; of several the first that is ready, as one
        that came anew may be known beside its predecessor. None: the engine does not know it."""
        names = {node.name, node.name.lower()} - {""}
        ours = {node.private_address, node.address} - {""}  # what has no address yet is not what told none
        found = [one for one in self.nodes if one.name in names]
        found = found or [one for one in self.nodes if not ours.isdisjoint(one.addresses)]
        return max(found, key=lambda one: one.ready, default=None)

    def on(self, node: CoeNode) -> list[Work]:
        """What runs on a node and would have to be moved."""
        return [work for work in self.works if work.node == node.id and not work.stays]


@dataclass(frozen=True, slots=True)
class Blocker:
    """What has not left a node yet."""

    work: str
    reason: str
    """Empty: it is on its way. Else what keeps it, such as the disruption budget by name."""

    def told(self) -> str:
        """For people."""
        return f"{self.work} ({self.reason})" if self.reason else self.work


class Coe(Protocol):
    """A bay's engine."""

    async def health(self) -> Mapping[str, str]:
        """How the bay is, as Magnum's health_status_reason: `api` → "ok" or what it said, `<node>.Ready` → "True" or
        "False"; a node's problem in `<node>.problem`."""
        ...

    async def look(self) -> Look:
        """All nodes and all work."""
        ...

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Let them take no more work, in one go where the engine knows that; `mark` (our operation's id) is left on
        them where the engine keeps such things. Closing twice changes nothing."""
        ...

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Take it back. A node that bears another mark than ours stays closed: somebody else closed it."""
        ...

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """Ask once for everything that must leave these closed nodes to leave; what is still there after that. Empty:
        they are drained. With `force` budgets are not asked, and what nobody would start again is ended too."""
        ...

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Remove them from the engine's list, once their servers are gone. Forgetting twice changes nothing."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
