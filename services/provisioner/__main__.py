"""`python -m services.provisioner`."""

from __future__ import annotations

from services.provisioner.main import main

main()
