"""The process: `python -m services.provisioner`."""

from __future__ import annotations

from functools import partial

from services.provisioner.attest.handlers import attest_forever, attest_requested
from services.provisioner.factory import Deps, open_deps
from services.provisioner.settings import ProvisionerSettings
from services.provisioner.steps import STEPS
from services.provisioner.sweep import sweep_forever
from shared.contracts.node import NodeAttestRequested
from shared.domain.operation import Service
from shared.runtime.settings import load
from shared.worker.app import WorkerApp


def make_app(settings: ProvisionerSettings) -> WorkerApp[Deps]:
    """The worker."""
    return WorkerApp(
        service=Service.PROVISIONER,
        settings=settings,
        steps=STEPS,
        deps=partial(open_deps, settings),
        handlers={NodeAttestRequested: attest_requested},
        background=lambda deps: [
            partial(sweep_forever, deps),
            partial(attest_forever, deps),
            *deps.notified.loops(),
        ],
    )


def main() -> None:
    """Run until told to stop."""
    make_app(load(ProvisionerSettings)).run()
