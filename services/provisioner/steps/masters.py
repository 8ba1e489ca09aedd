"""Another number of masters, one at a time."""

from __future__ import annotations

from services.provisioner.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def leave_masters(ctx: StepContext[Deps]) -> Outcome:
    """Choose what is next; have a master that leaves take leave of the others."""
    return Broke("Resizing masters is not supported yet.")


async def change_masters(ctx: StepContext[Deps]) -> Outcome:
    """Change the stack by one master."""
    return Broke("Resizing masters is not supported yet.")


async def follow_masters(ctx: StepContext[Deps]) -> Outcome:
    """Wait for Heat."""
    return Broke("Resizing masters is not supported yet.")


async def join_master(ctx: StepContext[Deps]) -> Outcome:
    """Wait for a new master to work with the others, and go back when more are to change."""
    return Broke("Resizing masters is not supported yet.")


async def collect_masters(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is."""
    return Broke("Resizing masters is not supported yet.")
