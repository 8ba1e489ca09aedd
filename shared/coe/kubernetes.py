"""A bay's Kubernetes, from 1.2 to today. What is read and how is in `kubernetes_pods`, `kubernetes_leaving`.

Our calls go over one connection after another, not side by side: a TLS handshake costs more than a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from shared.coe.connect import Channel
from shared.coe.errors import sense
from shared.coe.kubernetes_api import Api, Listed, Room, node_path
from shared.coe.kubernetes_budgets import Kept
from shared.coe.kubernetes_leaving import ROUND_SECONDS, Leaving
from shared.coe.kubernetes_pods import CLOSED_BY, Pod, mark_of, read_node, read_pod
from shared.coe.kubernetes_wire import NODES, OTHERS, PODS, WirePod
from shared.coe.port import Blocker, CoeNode, Look
from shared.coe.reading import Doc, inner
from shared.domain.errors import CloudError

_NODES: Final = "/api/v1/nodes"
_PODS: Final = "/api/v1/pods"
_UNFINISHED: Final = "status.phase!=Succeeded,status.phase!=Failed"
_BUDGETS: Final = ("policy/v1", "policy/v1beta1")
"""Since 1.21, and before 1.25."""
_FEW: Final = 5
"""For so many nodes each one's pods are asked for; for more all pods at once."""
_TRIES: Final = 3
_SAID: Final = 5

Wanted = Callable[[Doc], Mapping[str, object] | None]
"""How a node is to be changed, as a merge patch; None: not at all."""


class Kubernetes:
    """See shared.coe.port.Coe for the meaning of each method. After `round_seconds` a drain asks no further pods."""

    def __init__(self, channel: Channel, *, round_seconds: float = ROUND_SECONDS) -> None:
        self._channel = channel
        self._round_seconds = round_seconds
        self._api = Api(channel)

    async def health(self) -> Mapping[str, str]:
        """`api` from readyz (healthz before 1.16), and each node's Ready."""
        told = {"api": await self._ready()}
        for node in await self._nodes():
            told[f"{node.name}.Ready"] = str(node.ready)
            if node.problem:
                told[f"{node.name}.problem"] = node.problem
        return told

    async def look(self) -> Look:
        """Nodes and pods, the finished ones left out; and by the budgets, which of these are kept."""
        room = Room()
        nodes, listed = await self._nodes(room), await self._api.list(_PODS, PODS, room, fieldSelector=_UNFINISHED)
        pods, budgets = self._pods(listed), await self._budgets(room)
        with sense(self._channel.service):
            works = tuple(pod.as_work(kept=budgets.keeps(pod.namespace, pod.labels)) for pod in pods)
        return Look(tuple(nodes), works)

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Cordon them, with our mark as an annotation; one that somebody else has cordoned stays theirs."""
        for node in nodes:
            await self._change(node, lambda found: _closing(found, mark))

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Uncordon those that bear our mark."""
        for node in nodes:
            await self._change(node, lambda found: _opening(found, mark))

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """One round of evictions, of some 15 s at most. An API that knows none (before 1.4) is asked to delete the
        pods instead."""
        listed = await self._pods_on(nodes)
        leaving = Leaving(self._api, force=force, now=listed.now, seconds=self._round_seconds)
        names = {node.name for node in nodes}
        return await leaving.ask_all([pod for pod in self._pods(listed) if pod.node in names and not pod.stays])

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Delete the node objects."""
        for node in nodes:
            await self._channel.call("DELETE", node_path(node.name), allow={404})

    async def close(self) -> None:
        """Close the connections."""
        await self._channel.close()

    async def _ready(self) -> str:
        answer = await self._channel.call("GET", "/readyz", allow={403, 404, 500, 503})
        if answer.status in (403, 404):
            answer = await self._channel.call("GET", "/healthz", allow={500, 503})
        if answer.status == 200:
            return "ok"
        lines = answer.body.decode(errors="replace").splitlines()
        failed = [line.removeprefix("[-]") for line in lines if line.startswith("[-]")]
        return "; ".join(failed[:_SAID])[:300] or f"it answered {answer.status}"

    async def _nodes(self, room: Room | None = None) -> list[CoeNode]:
        listed = await self._api.list(_NODES, NODES, room)
        with sense(self._channel.service):
            return [read_node(one) for one in listed.items]

    async def _budgets(self, room: Room) -> Kept:
        """Of all namespaces; none where the API knows none (before 1.5) or does not show them to us."""
        for version in _BUDGETS:
            try:
                listed = await self._api.list(f"/apis/{version}/poddisruptionbudgets", OTHERS, room)
            except CloudError as error:
                if error.status not in (403, 404):
                    raise
            else:
                with sense(self._channel.service):
                    return Kept(listed.items, empty_selects=version == _BUDGETS[0])
        return Kept((), empty_selects=False)

    async def _pods_on(self, nodes: Sequence[CoeNode]) -> Listed[WirePod]:
        if len(nodes) > _FEW:
            return await self._api.list(_PODS, PODS, fieldSelector=_UNFINISHED)
        found, room = Listed[WirePod](), Room()
        for node in nodes:
            on_it = await self._api.list(_PODS, PODS, room, fieldSelector=f"spec.nodeName={node.name},{_UNFINISHED}")
            found.items += on_it.items
            found.now = on_it.now
        return found

    def _pods(self, listed: Listed[WirePod]) -> list[Pod]:
        with sense(self._channel.service):
            return [pod for one in listed.items if (pod := read_pod(one, listed.now)) is not None]

    async def _change(self, node: CoeNode, wanted: Wanted) -> None:
        """Change a node by what it is at that moment; one that is gone is left alone."""
        for _ in range(_TRIES):
            found = await self._api.node(node.name)
            if found is None:
                return
            with sense(self._channel.service):
                change = wanted(found)
            if change is None or await self._api.patch_node(found, change):
                return
        raise CloudError(
            f"Node {node.name} was changed by others each time that we tried.",
            service=self._channel.service,
            retryable=True,
            resource=node.name,
        )


def _closing(found: Doc, mark: str) -> Mapping[str, object] | None:
    closed, by = inner(found, "spec").get("unschedulable") is True, mark_of(found)
    # What an earlier operation of ours has closed and not opened yet is ours now: else its sweep would open the node
    # while we drain it.
    if closed and by in ("", mark):
        return None
    return {"spec": {"unschedulable": True}, "metadata": {"annotations": {CLOSED_BY: mark}}}


def _opening(found: Doc, mark: str) -> Mapping[str, object] | None:
    if mark_of(found) != mark:
        return None
    return {"spec": {"unschedulable": None}, "metadata": {"annotations": {CLOSED_BY: None}}}
