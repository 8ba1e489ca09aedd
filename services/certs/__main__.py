"""Entry point of `python -m services.certs`."""

from __future__ import annotations

from services.certs.main import main

if __name__ == "__main__":
    main()
