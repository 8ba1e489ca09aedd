"""Every step of this service, by the name that the flows use (shared/domain/operation.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.scaler.factory import Deps
from services.scaler.steps.drain import drain_leaving
from services.scaler.steps.heal import drain_unhealthy, watch_rebooted
from services.scaler.steps.plan import plan_resize
from services.scaler.steps.upgrade import drain_replaced, settle_new
from shared.worker.outcome import StepFunction

STEPS: Final[Mapping[str, StepFunction[Deps]]] = {
    "resize.plan": plan_resize,
    "resize.drain": drain_leaving,
    "heal.watch": watch_rebooted,
    "heal.drain": drain_unhealthy,
    "upgrade.settle": settle_new,
    "upgrade.drain": drain_replaced,
}
