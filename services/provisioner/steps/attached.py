"""What a bay's own services made in the cloud: removed before the stacks, whose deletion it blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog

from services.provisioner.attached.finding import Attached, find_attached
from services.provisioner.attached.removing import remove
from services.provisioner.factory import Deps
from services.provisioner.steps.doomed import doomed_stacks
from shared.domain.errors import CloudError
from shared.worker.outcome import Done, Outcome, StepContext, Wait

_log = structlog.get_logger()

_WAITED: Final = "attached_waited"
_LONGEST_PAUSE: Final = 10.0

CANDIDATES: Final = "attached_groups"
"""Where the operation keeps ids of security groups that nothing gives away any more (`Attached.candidates`)."""


async def remove_attached(ctx: StepContext[Deps]) -> Outcome:
    """Remove it, look after look, until it is gone or `attached_minutes` have been waited, for an absent Octavia too.

    The deletion goes on then: perhaps what is left holds nothing. If it does, `delete.follow` comes back here before
    Heat is asked again, and what holds is named in the end.
    """
    kept = set(candidates(ctx))
    try:
        found, left = await _one_pass(ctx, kept)
    except CloudError as error:
        if not error.retryable:
            raise
        return _wait(ctx, error.message, {}, at_least=error.retry_after or 0.0)
    memo: dict[str, object] = {CANDIDATES: sorted(kept | found.candidates)} if found.candidates else {}
    return _wait(ctx, "; ".join(left), memo) if left else Done(memo=memo)


def candidates(ctx: StepContext[Deps]) -> Sequence[str]:
    """The security groups that earlier looks of this operation found by their load balancers."""
    kept = ctx.operation.memo.get(CANDIDATES)
    return [str(one) for one in kept] if isinstance(kept, list) else []


async def _one_pass(ctx: StepContext[Deps], kept: Collection[str]) -> tuple[Attached, list[str]]:
    """What there was, and in words what of it is there still."""
    cloud = ctx.deps.project(ctx.bay)
    found = await find_attached(cloud, ctx.bay.id, ctx.bay.project_id, await doomed_stacks(ctx), kept)
    return found, await remove(cloud, found, ctx.guard)


def _wait(ctx: StepContext[Deps], told: str, memo: Mapping[str, object], at_least: float = 0.0) -> Outcome:
    """Look again, the later the longer it has been; not beyond the limit, and time is counted by our own pauses."""
    settings = ctx.deps.settings
    kept = ctx.operation.memo.get(_WAITED)
    waited = float(kept) if isinstance(kept, int | float) else 0.0
    if waited >= settings.attached_minutes * 60 * settings.time_scale:
        _log.warning("attached things left behind", bay=str(ctx.bay.id), said=told)
        return Done(memo=memo, note=f"Left behind, perhaps to hold the stack up: {told}")
    pause = max(min(max(settings.poll_seconds, waited / 10), _LONGEST_PAUSE), at_least)
    return Wait(
        pause, note=f"Removing what the bay's own services made: {told}", memo={**memo, _WAITED: waited + pause}
    )
