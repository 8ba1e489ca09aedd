"""`python -m services.provisioner`."""

from __future__ import annotations

from shared.runtime.start import run

run("services.provisioner.main")
