"""Choosing the nodes that leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.scaler.factory import Deps, ours
from services.scaler.steps.doubt import HOLD_SECONDS, mostly_unready
from shared.coe.port import CoeNode, Look
from shared.db.repositories import stacks
from shared.domain.bay import Bay, Node
from shared.domain.errors import CloudError
from shared.domain.queue import named_of, node_count_of, nodegroup_of
from shared.domain.scaling import UNKNOWN, Busy, idlest, leaving
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

REMOVE: Final = "remove"
"""In the operation's memo: the Nova ids of those that leave."""
REACHED: Final = "coe_reached"
"""In the memo, once the bay's API has answered this operation."""
LOOKS: Final = 3
"""So often the bay is asked who is idle; then the youngest leave."""
BETWEEN_LOOKS: Final = 2.0
"""Seconds."""
_TRIES: Final = "plan_tries"
DOUBTED_LOOKS: Final = int(HOLD_SECONDS / BETWEEN_LOOKS)
"""So often the bay is asked again when it calls most of its nodes not ready; then it is taken at its word."""
_DOUBTS: Final = "plan_doubts"
_SHOWN: Final = 5


async def plan_resize(ctx: StepContext[Deps]) -> Outcome:
    """Choose which nodes leave, and write that down for the provisioner and for the check afterwards.

    Those that the owner named, then those with the least to lose by what the bay's engine says, else the youngest.
    """
    if isinstance(ctx.operation.memo.get(REMOVE), list):
        return Done()  # a repeat: nobody may leave whom the first time spared
    request = ctx.operation.request
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id, nodegroup_of(request))
        everyone = await stacks.nodes_of(conn, ctx.bay.id)
    workers = [node for node in nodes if node.role == "worker"]
    try:
        youngest = leaving(workers, node_count_of(request), named_of(request))
    except ValueError as error:
        return Broke(f"The nodes that leave could not be chosen: {error}")
    if set(youngest) <= set(named_of(request)) or len(youngest) == len(workers):
        return Done(memo={REMOVE: youngest}, note=_told(ctx, workers, youngest, {}))
    if (why := ctx.deps.access.unreachable(ctx.bay)) is not None:
        return _without_asking(ctx, workers, youngest, why)
    return await _by_what_runs(ctx, everyone, workers, youngest)


async def _by_what_runs(
    ctx: StepContext[Deps], everyone: Sequence[Node], workers: Sequence[Node], youngest: Sequence[str]
) -> Outcome:
    """Those that are named and the idlest, else after some tries those that are named and the youngest."""
    request = ctx.operation.request
    try:
        async with ctx.deps.turn(ctx.bay) as coe:
            look = await coe.look()
    except CloudError as error:
        if ours(error):
            raise
        tries = number_in(ctx, _TRIES) + 1
        if not error.retryable or tries >= LOOKS:
            return _without_asking(ctx, workers, youngest, error.message)
        note = f"{error.message} Asking again which nodes are idle."
        return Wait(BETWEEN_LOOKS * ctx.deps.settings.time_scale, note=note, memo={_TRIES: tries})
    doubts = number_in(ctx, _DOUBTS) + 1
    if mostly_unready(look, everyone) and doubts <= DOUBTED_LOOKS:
        note = "Most of the bay's nodes are not ready. Asking again which are idle."
        return Wait(BETWEEN_LOOKS * ctx.deps.settings.time_scale, note=note, memo={_DOUBTS: doubts, REACHED: True})
    seen = busy(look, workers)
    chosen = leaving(workers, node_count_of(request), named_of(request), idlest(workers, seen))
    why = {server: _why(seen[server], ctx.bay) for server in chosen}
    return Done(memo={REMOVE: chosen, REACHED: True}, note=_told(ctx, workers, chosen, why))


def _without_asking(ctx: StepContext[Deps], workers: Sequence[Node], youngest: Sequence[str], reason: str) -> Done:
    chosen = _told(ctx, workers, youngest, dict.fromkeys(youngest, "is of the youngest"))
    return Done(memo={REMOVE: list(youngest)}, note=f"{chosen}. Which nodes are idle is not known: {reason}")


def busy(look: Look, nodes: Sequence[Node]) -> dict[str, Busy]:
    """How each server is, by what its bay's engine says."""
    found = ((node, look.find(node)) for node in nodes)
    return {node.server_id: _busy(look, one) if one is not None else UNKNOWN for node, one in found}


def _busy(look: Look, node: CoeNode) -> Busy:
    moved = look.on(node)
    return Busy(ready=node.ready, open=node.open, works=len(moved), held=sum(work.held for work in moved))


def works(count: int, bay: Bay) -> str:
    """So many pieces of work in the words of the bay's engine."""
    word = "pod" if bay.spec.get("coe") == "kubernetes" else "task"
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _why(node: Busy, bay: Bay) -> str:
    """Why it was chosen, for people."""
    if node is UNKNOWN:
        return "is unknown to the bay"
    if not node.ready:
        return "is not ready"
    runs = f"runs {works(node.works, bay)}" if node.works else "is idle"
    if node.held:
        return f"{runs}, {node.held} of which only force moves"
    if not node.open:
        return f"is closed and {runs}"
    return f"{runs}, the fewest" if node.works else runs


def number_in(ctx: StepContext[Deps], name: str) -> int:
    """A number in the operation's memo; 0: there is none."""
    found = ctx.operation.memo.get(name)
    return found if isinstance(found, int) else 0


def _told(ctx: StepContext[Deps], workers: Sequence[Node], chosen: Sequence[str], why: Mapping[str, str]) -> str | None:
    """Who leaves and why, for people; None when nobody does."""
    names, named = {node.server_id: node.name for node in workers}, named_of(ctx.operation.request)
    said = [
        f"{names[server]} {'was named' if server in named else why.get(server, 'goes with all')}"
        for server in chosen[:_SHOWN]
    ]
    more = [f"and {len(chosen) - _SHOWN} more"] if len(chosen) > _SHOWN else []
    return "; ".join([*said, *more]) or None
