"""`python -m services.scaler`."""

from __future__ import annotations

from services.scaler.main import main

main()
