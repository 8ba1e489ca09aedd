"""`python -m services.api`."""

from __future__ import annotations

from shared.runtime.start import run

run("services.api.main")
