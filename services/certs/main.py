"""The process: `python -m services.certs`; and `… rewrap`, the exchange of its master key."""

from __future__ import annotations

import sys
from functools import partial
from typing import Final

from services.certs import rewrap
from services.certs.envelope import EnvelopeError
from services.certs.expiry import EVERY, ExpiryWatch
from services.certs.factory import Deps, open_deps
from services.certs.handlers import node_attested, sign_requested, sweep_forever
from services.certs.master_key import load_master_keys
from services.certs.settings import CertsSettings
from services.certs.steps import STEPS
from shared.contracts.certificate import CertificateSignRequested
from shared.contracts.node import NodeAttested
from shared.domain.operation import Service
from shared.runtime.settings import load
from shared.worker.app import WorkerApp

MESSAGES_AT_ONCE: Final = 64
"""Two batches of signatures (`shared.runtime.batches`): one under way, one that gathers."""

SWITCH_SECONDS: Final = 0.001
"""How long a thread that signs may keep the interpreter from the event loop; Python's own 5 ms are felt."""


def make_app(settings: CertsSettings) -> WorkerApp[Deps]:
    """The worker. Raises EnvelopeError for an unusable master key, before anything is connected."""
    masters = load_master_keys(settings)
    return WorkerApp(
        service=Service.CERTS,
        settings=settings,
        steps=STEPS,
        deps=partial(open_deps, settings, masters),
        handlers={CertificateSignRequested: sign_requested, NodeAttested: node_attested},
        background=lambda deps: [
            partial(sweep_forever, deps),
            deps.rsa_keys.fill_forever,
            _watch(settings, deps).run,
        ],
        concurrency=MESSAGES_AT_ONCE,
    )


def _watch(settings: CertsSettings, deps: Deps) -> ExpiryWatch:
    every = EVERY * settings.time_scale
    return ExpiryWatch(deps.engine, settings.warn_before, settings.node_validity, every)


def main() -> None:
    """Run until told to stop, or run the command that is named; exit with a sentence when a master key is unusable."""
    if sys.argv[1:2] == ["rewrap"]:
        raise SystemExit(rewrap.main(sys.argv[2:]))
    try:
        app = make_app(load(CertsSettings))
    except EnvelopeError as error:
        raise SystemExit(f"jeroboam-certs: {error}") from None
    sys.setswitchinterval(SWITCH_SECONDS)
    app.run()
