"""Healing a node: the server is restarted, and if that does not help replaced."""

from __future__ import annotations

from services.provisioner.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def reboot_server(ctx: StepContext[Deps]) -> Outcome:
    """Restart the server."""
    return Broke("Healing is not supported yet.")


async def replace_server(ctx: StepContext[Deps]) -> Outcome:
    """Replace the server in its stack."""
    return Broke("Healing is not supported yet.")


async def follow_replacement(ctx: StepContext[Deps]) -> Outcome:
    """Wait for Heat."""
    return Broke("Healing is not supported yet.")


async def settle_replacement(ctx: StepContext[Deps]) -> Outcome:
    """Change the further stacks."""
    return Broke("Healing is not supported yet.")


async def collect_healed(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is."""
    return Broke("Healing is not supported yet.")
