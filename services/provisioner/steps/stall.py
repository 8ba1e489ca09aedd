"""A bay without a create_timeout may take as long as it likes, as long as something happens (architecture, Retries)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH
from services.provisioner.steps.reasons import awaited
from shared.domain.retry import STALL_SECONDS
from shared.openstack.heat import HeatClient
from shared.worker.outcome import Broke, StepContext

LOOK_EVERY = STALL_SECONDS / 12
"""Seconds between two looks at the resources: often enough to notice, rarely enough to cost Heat nothing."""


async def look_for_change(ctx: StepContext[Deps], heat: HeatClient) -> tuple[Broke | None, dict[str, object]]:
    """Why the operation is given up, if it is, and what to remember until the next look."""
    now = datetime.now(UTC).timestamp()
    memo = ctx.operation.memo
    if now - _number(memo.get("looked_at")) < LOOK_EVERY:
        return None, {}
    resources = await heat.resources(ctx.bay.stack_id or "", NESTED_DEPTH)
    lines = sorted(f"{one.stack_name}/{one.name} {one.status} {one.updated_at}" for one in resources)
    seen = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    if seen != memo.get("seen"):
        return None, {"looked_at": now, "seen": seen, "changed_at": now}
    if now - _number(memo.get("changed_at")) < STALL_SECONDS:
        return None, {"looked_at": now}
    return awaited(ctx, "Nothing has changed in the Heat stack for two hours", resources), {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
