"""One world for all calls of this folder."""

from __future__ import annotations

import pytest

from tests.api.fidelity.world import World
from tests.api.harness import System


@pytest.fixture(scope="session")
def world(system: System) -> World:
    """What the calls are about."""
    return World(system)
