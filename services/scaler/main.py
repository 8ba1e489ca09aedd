"""The process: `python -m services.scaler`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from services.scaler import autoscale, health, health_pull, reopen
from services.scaler.access import Access
from services.scaler.factory import Deps
from services.scaler.settings import ScalerSettings
from services.scaler.steps import STEPS
from shared.contracts.bay import BayCreated
from shared.domain.operation import Service
from shared.runtime.egress import EgressPolicy
from shared.runtime.settings import load
from shared.worker.app import Wiring, WorkerApp


def make_app(settings: ScalerSettings) -> WorkerApp[Deps]:
    """The worker."""

    @contextlib.asynccontextmanager
    async def open_deps(wiring: Wiring) -> AsyncIterator[Deps]:
        egress = EgressPolicy(settings.egress_allow, settings.egress_deny)
        access = Access.of(wiring.engine, wiring.bus, egress, private_too=settings.scaler_reach_private)
        yield Deps(wiring.engine, settings, access)

    return WorkerApp(
        service=Service.SCALER,
        settings=settings,
        steps=STEPS,
        deps=open_deps,
        handlers={BayCreated: autoscale.bay_created},
        background=lambda deps: [reopen.loop(deps), health.loop(deps), health_pull.loop(deps), autoscale.loop(deps)],
    )


def main() -> None:
    """Run until told to stop."""
    make_app(load(ScalerSettings)).run()
