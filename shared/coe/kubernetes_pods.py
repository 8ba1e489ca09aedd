"""Nodes and pods as Kubernetes tells of them, from 1.2 to today, in the words of the port. No network.

What changed over that time: controllers are `ownerReferences` since 1.4, before that an annotation with JSON in it;
whether a pod waits for room is a condition since 1.3; init containers may stay beside the others since 1.28; a pod may
ask for resources as a whole since 1.32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

import orjson

from shared.coe.kubernetes_wire import (
    Asks,
    Container,
    Meta,
    NodeSpec,
    NodeStatus,
    PodSpec,
    PodStatus,
    Texts,
    WireNode,
    WirePod,
)
from shared.coe.port import CoeNode, Resources, Work
from shared.coe.quantities import NOTHING, larger, plus, resources
from shared.coe.reading import Doc, doc, inner, maybe, short

CLOSED_BY: Final = "jeroboam.io/closed-by"
"""Annotation of a node that we closed: for which operation."""

_MANAGERS: Final = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
"""A label, a taint or both."""
_OF_CONDITIONS: Final = "node.kubernetes.io/"
_MIRROR: Final = "kubernetes.io/config.mirror"
_CREATED_BY: Final = "kubernetes.io/created-by"
_DAEMON: Final = "DaemonSet"
_FINISHED: Final = frozenset({"Succeeded", "Failed"})
_SCHEDULED_WITHIN: Final = timedelta(minutes=1)
"""So long a scheduler that tells of no condition may take; what waits longer waits for room."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has not finished."""

    namespace: str
    name: str
    uid: str
    node: str | None
    labels: Mapping[str, str]
    controller: str
    """Kind of what would start it again; empty: nothing would."""
    mirror: bool
    """Whether a kubelet runs it by itself, from a file on its node."""
    ends_at: datetime | None
    """By when it was told to have ended; None: it was not."""
    asks: Resources
    waiting: str

    @property
    def inside(self) -> str:
        """Its namespace as part of a path. Names are the API's own; but what it tells is not to choose another path."""
        return f"namespaces/{quote(self.namespace, safe='')}"

    @property
    def path(self) -> str:
        """In the API."""
        return f"/api/v1/{self.inside}/pods/{quote(self.name, safe='')}"

    @property
    def told(self) -> str:
        """As people write it."""
        return f"{self.namespace}/{self.name}"

    @property
    def stays(self) -> bool:
        """Whether it goes with its node."""
        return self.mirror or self.controller == _DAEMON

    def as_work(self, *, kept: bool = False) -> Work:
        """In the words of the port; `kept`: by a disruption budget."""
        held = not self.stays and self.ends_at is None and (kept or not self.controller)
        return Work(self.told, self.node, self.asks, self.stays, self.waiting, held)


def read_node(data: WireNode) -> CoeNode:
    """A node. Raises ValueError for quantities that are none."""
    meta, spec, status = data["metadata"], data.get("spec") or NodeSpec(), data.get("status") or NodeStatus()
    name, labels = short(meta["name"]), meta.get("labels") or {}
    ready, problem = _condition(status)
    if not ready and (taints := [key for key in _taints(spec) if key.startswith(_OF_CONDITIONS)]):
        problem += f"; {', '.join(taints)}"
    return CoeNode(
        id=name,
        name=name,
        addresses=tuple(one.get("address") or "" for one in status.get("addresses") or ()),
        ready=ready,
        problem=short(problem),
        open=spec.get("unschedulable") is not True,
        manager=not (_MANAGERS.isdisjoint(labels) and _MANAGERS.isdisjoint(_taints(spec))),
        capacity=resources(status.get("allocatable") or status.get("capacity")),
        labels=labels,
    )


def mark_of(data: Doc) -> str:
    """For which of our operations a node was closed; empty: not by us."""
    return maybe(inner(data, "metadata", "annotations"), CLOSED_BY)


def read_pod(data: WirePod, now: datetime | None) -> Pod | None:
    """A pod, None when it has finished. `now` is the API's clock, where it told it.

    Raises TypeError or ValueError for quantities, times and annotations that are none.
    """
    meta, spec, status = data["metadata"], data.get("spec") or PodSpec(), data.get("status") or PodStatus()
    if status.get("phase") in _FINISHED:
        return None
    annotations, ends = meta.get("annotations") or {}, meta.get("deletionTimestamp")
    node = short(spec.get("nodeName") or "") or None
    return Pod(
        namespace=short(meta.get("namespace") or ""),
        name=short(meta["name"]),
        uid=meta.get("uid") or "",
        node=node,
        labels=meta.get("labels") or {},
        controller=_controller(meta, annotations),
        mirror=_MIRROR in annotations,
        ends_at=datetime.fromisoformat(ends) if ends else None,
        asks=_asked(spec),
        waiting="" if node or ends else short(_waiting(meta, status, now)),
    )


def _condition(status: NodeStatus) -> tuple[bool, str]:
    """Whether a node is ready, and what it says where it is not."""
    ready = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), None)
    if ready is None:
        return False, "it has never reported"
    if ready.get("status") == "True":
        return True, ""
    return False, ready.get("message") or ready.get("reason") or f"Ready is {ready.get('status')}"


def _taints(spec: NodeSpec) -> list[str]:
    return [one.get("key") or "" for one in spec.get("taints") or ()]


def _controller(meta: Meta, annotations: Texts) -> str:
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") is True:
            return owner.get("kind") or ""
    written = annotations.get(_CREATED_BY)
    return maybe(inner(doc(orjson.loads(written)), "reference"), "kind") if written else ""


def _asked(spec: PodSpec) -> Resources:
    """What the scheduler keeps for a pod: its containers together or its hungriest start, and its runtime's overhead.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    beside, start, running = NOTHING, NOTHING, NOTHING
    for one in spec.get("initContainers") or ():
        asks = _requests(one)
        start = larger(start, plus(asks, beside))
        if one.get("restartPolicy") == "Always":
            beside = plus(beside, asks)
    for one in spec.get("containers") or ():
        running = plus(running, _requests(one))
    asked = larger(plus(running, beside), start)
    if whole := (spec.get("resources") or Asks()).get("requests"):
        of_all = resources(whole)
        asked = Resources(
            of_all.cpu if "cpu" in whole else asked.cpu, of_all.memory if "memory" in whole else asked.memory
        )
    return plus(asked, resources(spec.get("overhead")))


def _requests(container: Container) -> Resources:
    return resources((container.get("resources") or Asks()).get("requests"))


def _waiting(meta: Meta, status: PodStatus, now: datetime | None) -> str:
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled":
            unplaced = one.get("status") == "False" and one.get("reason") == "Unschedulable"
            return (one.get("message") or "no node has room for it") if unplaced else ""
    made = meta.get("creationTimestamp")
    if now is None or not made or now - datetime.fromisoformat(made) < _SCHEDULED_WITHIN:
        return ""
    return "the scheduler has found no node for it"
