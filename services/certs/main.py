"""The process: `python -m services.certs`."""

from __future__ import annotations

from functools import partial

from services.certs.envelope import EnvelopeError
from services.certs.factory import Deps, open_deps
from services.certs.handlers import node_attested, sign_requested, sweep_forever
from services.certs.master_key import load_master_key
from services.certs.settings import CertsSettings
from services.certs.steps import STEPS
from shared.contracts.certificate import CertificateSignRequested
from shared.contracts.node import NodeAttested
from shared.domain.operation import Service
from shared.runtime.settings import load
from shared.worker.app import WorkerApp


def make_app(settings: CertsSettings) -> WorkerApp[Deps]:
    """The worker. Raises EnvelopeError for an unusable master key, before anything is connected."""
    master = load_master_key(settings)
    return WorkerApp(
        service=Service.CERTS,
        settings=settings,
        steps=STEPS,
        deps=partial(open_deps, settings, master),
        handlers={CertificateSignRequested: sign_requested, NodeAttested: node_attested},
        background=lambda deps: [partial(sweep_forever, deps), deps.rsa_keys.fill_forever],
    )


def main() -> None:
    """Run until told to stop; exit with a sentence when the master key is unusable."""
    try:
        app = make_app(load(CertsSettings))
    except EnvelopeError as error:
        raise SystemExit(f"jeroboam-certs: {error}") from None
    app.run()
