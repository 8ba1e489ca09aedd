"""Which container engines there is a driver for: what a test of another one says instead of running."""

from __future__ import annotations

import pytest

from shared.drivers.registry import DRIVERS

IMAGES = {"kubernetes": "fedora-21-atomic-5", "swarm": "fedora-21-atomic-5", "mesos": "ubuntu-mesos"}
"""The image whose distribution the guide uses for each."""


def needs_driver(coe: str, what: str) -> None:
    """Skip, with a line that `make test` repeats at its end, as long as no driver makes bays of this kind."""
    if all(driver.key[2] != coe for driver in DRIVERS):
        pytest.skip(f"NOT RUN: {what} (no driver for {coe} yet)")
