"""`python -m services.scaler`."""

from __future__ import annotations

from shared.runtime.start import run

run("services.scaler.main")
