"""The steps of a rotation of a bay's authorities (`shared/domain/rotation.py` says what the phases mean)."""

from __future__ import annotations

from services.certs.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def make_authorities(ctx: StepContext[Deps]) -> Outcome:
    """Make the next generation of the bay's authorities."""
    return Broke(f"Rotation of {ctx.bay.name} is not built.")


await_trust = await_certificates = await_drop = make_authorities
