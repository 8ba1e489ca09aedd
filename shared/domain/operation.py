"""Operations: one asked-for change of a bay, cut into named steps, each owned by one service.

A flow is data: which steps, in which order, whose they are, and the message that tells the next service to look.
A released step name is never used again for something else, because rows in a database hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from shared.domain.bay_state import BayEvent


class OperationKind(StrEnum):
    """What is to be done to a bay. A kind without a flow in `FLOWS` is refused at the door, never accepted."""

    CREATE = "create"
    UPDATE = "update"
    RESIZE = "resize"
    RESIZE_MASTERS = "resize_masters"
    UPGRADE = "upgrade"
    ROTATE_CA = "rotate_ca"
    ROTATE_CREDENTIALS = "rotate_credentials"
    HEAL = "heal"
    DELETE = "delete"


class OperationState(StrEnum):
    """Where an operation stands; the four last are final."""

    QUEUED = "queued"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Service(StrEnum):
    """Who runs a step. The values are also the names of the bus queues."""

    PROVISIONER = "provisioner"
    CERTS = "certs"
    SCALER = "scaler"


@dataclass(frozen=True)
class Step:
    """One idempotent piece of work. `sentence` is what people read while it runs."""

    name: str
    service: Service
    sentence: str


@dataclass(frozen=True)
class Flow:
    """The steps of one kind of operation and what the bay hears of its end."""

    kind: OperationKind
    steps: tuple[Step, ...]
    done: BayEvent
    broke: BayEvent
    requested: str
    """The message that starts it."""
    finished: str
    """The message that tells of its success."""
    handovers: dict[tuple[Service, Service], str]
    """Which message a hand-over from one service to another is."""

    def __post_init__(self) -> None:
        """Refuse a flow that could not run: doubled names, or a hand-over without its message."""
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"The flow {self.kind} has no steps or doubled names: {names}")
        for one, other in pairwise(self.steps):
            if one.service != other.service and (one.service, other.service) not in self.handovers:
                raise ValueError(f"The flow {self.kind} has no message from {one.service} to {other.service}")

    def step(self, name: str) -> Step:
        """The step of that name. Raises KeyError for a name that the flow does not have."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"{self.kind} has no step {name}")

    def next_after(self, name: str) -> Step | None:
        """The step after `name`, None after the last."""
        position = [step.name for step in self.steps].index(name)
        return self.steps[position + 1] if position + 1 < len(self.steps) else None


_P, _C, _R = Service.PROVISIONER, Service.CERTS, Service.SCALER

FLOWS: dict[OperationKind, Flow] = {
    flow.kind: flow
    for flow in (
        Flow(
            OperationKind.CREATE,
            (
                Step("create.authorities", _C, "Make the bay's certificate authorities"),
                Step("create.render", _P, "Render the Heat template"),
                Step("create.stack", _P, "Create the Heat stack"),
                Step("create.follow", _P, "Wait for Heat to build the servers"),
                Step("create.shards", _P, "Build the further stacks of a large bay"),
                Step("create.collect", _P, "Record addresses and servers"),
            ),
            done=BayEvent.CREATED,
            broke=BayEvent.CREATE_BROKE,
            requested="bay.create.requested",
            finished="bay.created",
            handovers={(_C, _P): "bay.authorities.ready"},
        ),
        Flow(
            OperationKind.RESIZE,
            (
                Step("resize.plan", _R, "Choose the nodes that leave"),
                Step("resize.drain", _R, "Move the work away from the nodes that leave"),
                Step("resize.stack", _P, "Change the Heat stack"),
                Step("resize.follow", _P, "Wait for Heat to add or remove servers"),
                Step("resize.shards", _P, "Change the further stacks of a large bay"),
                Step("resize.collect", _P, "Record addresses and servers"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.resize.requested",
            finished="bay.resized",
            handovers={(_R, _P): "bay.resize.planned", (_P, _R): "bay.resize.reconsidered"},
        ),
        Flow(
            OperationKind.RESIZE_MASTERS,
            # The first four are gone through once for every master that comes or goes.
            (
                Step("resize_masters.leave", _P, "Have the master that leaves take leave of the others"),
                Step("resize_masters.stack", _P, "Change the Heat stack by one master"),
                Step("resize_masters.follow", _P, "Wait for Heat to add or remove the master"),
                Step("resize_masters.join", _P, "Wait for the new master to work with the others"),
                Step("resize_masters.collect", _P, "Record addresses and servers"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.masters.resize.requested",
            finished="bay.masters.resized",
            handovers={},
        ),
        Flow(
            OperationKind.HEAL,
            # When a restart was enough, what comes after has nothing to do.
            (
                Step("heal.reboot", _P, "Restart the unhealthy server"),
                Step("heal.watch", _R, "Wait whether it recovers"),
                Step("heal.drain", _R, "Move the work away from the unhealthy node"),
                Step("heal.stack", _P, "Replace the server in the Heat stack"),
                Step("heal.follow", _P, "Wait for Heat to make the new server"),
                Step("heal.shards", _P, "Change the further stacks of a large bay"),
                Step("heal.collect", _P, "Record addresses and servers"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.heal.requested",
            finished="bay.healed",
            handovers={(_P, _R): "bay.heal.rebooted", (_R, _P): "bay.heal.planned"},
        ),
        Flow(
            OperationKind.UPGRADE,
            # From "grow" to "shrink" it is gone through once for every batch of nodes.
            (
                Step("upgrade.render", _P, "Render the nodes of the new baymodel"),
                Step("upgrade.grow", _P, "Build the next new nodes"),
                Step("upgrade.settle", _R, "Wait for the new nodes to be well"),
                Step("upgrade.drain", _R, "Move the work away from the nodes that they replace"),
                Step("upgrade.shrink", _P, "Remove the nodes that were replaced"),
                Step("upgrade.collect", _P, "Record addresses, servers and the new baymodel"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.upgrade.requested",
            finished="bay.upgraded",
            handovers={(_P, _R): "bay.upgrade.grown", (_R, _P): "bay.upgrade.drained"},
        ),
        Flow(
            OperationKind.ROTATE_CREDENTIALS,
            (
                Step("rotate_credentials.seal", _P, "Encrypt the new cloud credential to every node"),
                Step("rotate_credentials.wait", _P, "Wait for the nodes to use it"),
                Step("rotate_credentials.revoke", _P, "Revoke the old cloud credential"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.credentials.rotation.requested",
            finished="bay.credentials.rotated",
            handovers={},
        ),
        Flow(
            OperationKind.ROTATE_CA,
            (
                Step("rotate_ca.make", _C, "Make the bay's new certificate authorities"),
                Step("rotate_ca.trust", _C, "Wait for the nodes to trust the new authorities beside the old ones"),
                Step("rotate_ca.reissue", _C, "Wait for the nodes to use certificates of the new authorities"),
                Step("rotate_ca.drop", _C, "Wait for the nodes to trust only the authorities that stay"),
            ),
            done=BayEvent.UPDATED,
            broke=BayEvent.UPDATE_BROKE,
            requested="bay.ca.rotation.requested",
            finished="bay.ca.rotated",
            handovers={},
        ),
        Flow(
            OperationKind.DELETE,
            (
                Step("delete.credentials", _P, "Revoke the nodes' cloud credential"),
                Step("delete.attached", _P, "Remove what the bay's own services made in the cloud"),
                Step("delete.stack", _P, "Ask Heat to delete every stack of the bay"),
                Step("delete.follow", _P, "Wait for Heat to remove the servers"),
                Step("delete.authorities", _C, "Destroy the bay's certificate authorities"),
                Step("delete.verify", _P, "Make sure that nothing is left in the cloud"),
            ),
            done=BayEvent.DELETED,
            broke=BayEvent.DELETE_BROKE,
            requested="bay.delete.requested",
            finished="bay.deleted",
            handovers={(_P, _C): "bay.stack.deleted", (_C, _P): "bay.authorities.destroyed"},
        ),
    )
}
"""Every flow there is. A kind that is not here is refused at the door."""
