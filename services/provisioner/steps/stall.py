"""Silence: a stack under way in which no resource changes.

Heat does not take up by itself what an engine was at when it died, and no time limit of its own ends it any more, since
it was that engine which would have watched it: such a stack stays IN_PROGRESS for ever. So the resources are looked at
now and then; `steps.revive` says what follows from silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackResource
from shared.worker.outcome import StepContext

_LOOKS: Final = 5
"""Looks within the time after which silence is too long: each costs Heat a listing of all resources."""


def anew() -> dict[str, object]:
    """The memo of who begins to listen anew, having just changed something."""
    return {"looked_at": None, "heard": None, "changed_at": datetime.now(UTC).timestamp()}


@dataclass(frozen=True)
class Silence:
    """What was heard of the stacks of an operation."""

    seconds: float = 0.0
    """Since something was seen to change."""
    too_long: bool = False
    """Nobody seems to be working on them."""
    memo: Mapping[str, object] = field(default_factory=dict)
    """To be remembered until the next look."""
    resources: tuple[StackResource, ...] = ()
    """The resources, if they were looked at now."""


async def listen(ctx: StepContext[Deps], heat: HeatClient, stack_ids: Collection[str]) -> Silence:
    """How long nothing has changed in these stacks; most calls are too early to ask Heat, and tell nothing."""
    limit = ctx.deps.settings.stall_minutes * 60 * ctx.deps.settings.time_scale
    memo, now = ctx.operation.memo, datetime.now(UTC).timestamp()
    if now - _number(memo.get("looked_at"), ctx.operation.started_at.timestamp()) < limit / _LOOKS:
        return Silence()
    listed = [one for stack_id in sorted(stack_ids) for one in await heat.resources(stack_id, NESTED_DEPTH)]
    lines = sorted(f"{one.stack_name}/{one.name} {one.status} {one.updated_at}" for one in listed)
    heard = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    if heard != memo.get("heard"):
        return Silence(0.0, False, {"looked_at": now, "heard": heard, "changed_at": now}, tuple(listed))
    seconds = now - _number(memo.get("changed_at"), now)
    return Silence(seconds, seconds >= limit, {"looked_at": now}, tuple(listed))


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise
