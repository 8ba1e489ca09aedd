"""The process: `python -m services.scaler`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from services.scaler.factory import Deps
from services.scaler.settings import ScalerSettings
from services.scaler.steps import STEPS
from shared.domain.operation import Service
from shared.runtime.settings import load
from shared.worker.app import Wiring, WorkerApp


@contextlib.asynccontextmanager
async def _open_deps(wiring: Wiring) -> AsyncIterator[Deps]:
    yield Deps(wiring.engine)


def make_app(settings: ScalerSettings) -> WorkerApp[Deps]:
    """The worker."""
    return WorkerApp(service=Service.SCALER, settings=settings, steps=STEPS, deps=_open_deps)


def main() -> None:
    """Run until told to stop."""
    make_app(load(ScalerSettings)).run()
