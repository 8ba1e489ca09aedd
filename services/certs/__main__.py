"""Entry point of `python -m services.certs`."""

from __future__ import annotations

from shared.runtime.start import run

if __name__ == "__main__":
    run("services.certs.main")
