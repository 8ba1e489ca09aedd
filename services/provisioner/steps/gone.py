"""Servers of a bay that somebody deleted in Nova.

Heat does not notice: it goes on to show them, with the addresses that they had, and an update leaves them alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from services.provisioner.factory import Deps
from shared.domain.bay import Node
from shared.openstack.nova import NovaClient, Server
from shared.worker.outcome import StepContext

MEMO: Final = "gone"
"""Where an operation remembers them."""
_ENDED: Final = frozenset({"DELETED", "SOFT_DELETED"})


async def gone_workers(ctx: StepContext[Deps], nodes: Collection[Node]) -> frozenset[str]:
    """The ids of the workers among these nodes whose servers Nova does not have any more, and of those that this
    operation found gone before and which are no nodes since then.

    One listing, and a look at each that it lacks. A master that is gone cannot be replaced by a resize: it stays a
    node, and the sweep tells of it.
    """
    known = known_gone(ctx)
    workers = [node for node in nodes if node.role == "worker" and node.server_id not in known]
    if not workers:
        return known
    nova = ctx.deps.project(ctx.bay).nova
    prefix = _beginning([node.name for node in workers])
    there = {server.id for server in await nova.servers(name_prefix=prefix) if stands(server)}
    missing = [node.server_id for node in workers if node.server_id not in there]
    return known.union([server_id for server_id in missing if await is_gone(nova, server_id)])


async def still_there(
    ctx: StepContext[Deps], nodes: Sequence[Node], doubtful: Collection[str] = frozenset()
) -> list[Node]:
    """Those of the nodes that Nova still has; of the `doubtful`, who were to go, its listing alone decides."""
    if not nodes:
        return []
    nova = ctx.deps.project(ctx.bay).nova
    listed = await nova.servers(name_prefix=_beginning([node.name for node in nodes]))
    there = {server.id for server in listed if stands(server)}
    return [
        node
        for node in nodes
        if node.server_id in there or (node.server_id not in doubtful and not await is_gone(nova, node.server_id))
    ]


def known_gone(ctx: StepContext[Deps]) -> frozenset[str]:
    """Servers that this operation has found gone."""
    known = ctx.operation.memo.get(MEMO)
    return frozenset(map(str, known)) if isinstance(known, list) else frozenset()


async def is_gone(nova: NovaClient, server_id: str) -> bool:
    """Whether Nova has no such server, asked for itself: a listing may be cut, and a server may have a new name."""
    server = await nova.show(server_id)
    return server is None or not stands(server)


def stands(server: Server) -> bool:
    """Whether it is there, however it is."""
    return server.status not in _ENDED


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with; Nova can look for it."""
    first, last = min(names), max(names)
    same = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(same, min(len(first), len(last)))]
