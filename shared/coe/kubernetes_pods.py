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

from shared.coe.port import CoeNode, Resources, Work
from shared.coe.quantities import larger, plus, resources
from shared.coe.reading import Doc, doc, docs, inner, maybe, text, texts

CLOSED_BY: Final = "jeroboam.io/closed-by"
"""Annotation of a node that we closed: for which operation."""

_MANAGERS: Final = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
"""A label, a taint or both."""
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

    def as_work(self) -> Work:
        """In the words of the port."""
        return Work(self.told, self.node, self.asks, self.stays, self.waiting)


def read_node(data: Doc) -> CoeNode:
    """A node. Raises LookupError, TypeError or ValueError when it is none."""
    meta, spec, status = inner(data, "metadata"), inner(data, "spec"), inner(data, "status")
    name = text(meta, "name")
    labels = texts(inner(meta, "labels"))
    ready, problem = _condition(status)
    if not ready and (taints := _taints(spec)):
        problem += f"; {taints}"
    return CoeNode(
        id=name,
        name=name,
        addresses=tuple(maybe(one, "address") for one in docs(status.get("addresses"))),
        ready=ready,
        problem=problem,
        open=spec.get("unschedulable") is not True,
        manager=not _MANAGERS.isdisjoint({*labels, *(maybe(one, "key") for one in docs(spec.get("taints")))}),
        capacity=resources(inner(status, "allocatable") or inner(status, "capacity")),
        labels=labels,
    )


def mark_of(data: Doc) -> str:
    """For which of our operations a node was closed; empty: not by us."""
    return maybe(inner(data, "metadata", "annotations"), CLOSED_BY)


def read_pod(data: Doc, now: datetime | None) -> Pod | None:
    """A pod, None when it has finished. `now` is the API's clock, where it told it. Raises as `read_node`."""
    meta, spec, status = inner(data, "metadata"), inner(data, "spec"), inner(data, "status")
    if maybe(status, "phase") in _FINISHED:
        return None
    annotations, ends = inner(meta, "annotations"), maybe(meta, "deletionTimestamp")
    node = maybe(spec, "nodeName") or None
    return Pod(
        namespace=text(meta, "namespace"),
        name=text(meta, "name"),
        uid=maybe(meta, "uid"),
        node=node,
        labels=texts(inner(meta, "labels")),
        controller=_controller(meta, annotations),
        mirror=_MIRROR in annotations,
        ends_at=datetime.fromisoformat(ends) if ends else None,
        asks=_asked(spec),
        waiting="" if node or ends else _waiting(meta, status, now),
    )


def _condition(status: Doc) -> tuple[bool, str]:
    """Whether a node is ready, and what it says where it is not."""
    ready = next((one for one in docs(status.get("conditions")) if one.get("type") == "Ready"), None)
    if ready is None:
        return False, "it has never reported"
    if ready.get("status") == "True":
        return True, ""
    return False, maybe(ready, "message") or maybe(ready, "reason") or f"Ready is {ready.get('status')}"


def _taints(spec: Doc) -> str:
    keys = (maybe(one, "key") for one in docs(spec.get("taints")))
    return ", ".join(key for key in keys if key.startswith("node.kubernetes.io/"))


def _controller(meta: Doc, annotations: Doc) -> str:
    for owner in docs(meta.get("ownerReferences")):
        if owner.get("controller") is True:
            return maybe(owner, "kind")
    written = maybe(annotations, _CREATED_BY)
    if not written:
        return ""
    return maybe(inner(doc(orjson.loads(written)), "reference"), "kind")


def _asked(spec: Doc) -> Resources:
    """What the scheduler keeps for a pod: its containers together or its hungriest start, and its runtime's overhead.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    beside, start, running = Resources(), Resources(), Resources()
    for one in docs(spec.get("initContainers")):
        asks = _requests(one)
        start = larger(start, plus(asks, beside))
        if one.get("restartPolicy") == "Always":
            beside = plus(beside, asks)
    for one in docs(spec.get("containers")):
        running = plus(running, _requests(one))
    whole = inner(spec, "resources", "requests")
    asked = larger(plus(running, beside), start)
    if whole:
        of_all = resources(whole)
        asked = Resources(of_all.cpu if "cpu" in whole else asked.cpu, of_all.memory or asked.memory)
    return plus(asked, resources(inner(spec, "overhead")))


def _requests(container: Doc) -> Resources:
    return resources(inner(container, "resources", "requests"))


def _waiting(meta: Doc, status: Doc, now: datetime | None) -> str:
    for one in docs(status.get("conditions")):
        if one.get("type") == "PodScheduled":
            unplaced = one.get("status") == "False" and one.get("reason") == "Unschedulable"
            return (maybe(one, "message") or "no node has room for it") if unplaced else ""
    made = maybe(meta, "creationTimestamp")
    if now is None or not made or now - datetime.fromisoformat(made) < _SCHEDULED_WITHIN:
        return ""
    return "the scheduler has found no node for it"
