"""What the tests of this folder share: the drivers and what they render."""

from __future__ import annotations

import pytest

from shared.drivers import registry
from shared.drivers.contract import Driver
from tests.payloads.rendered import Node, nodes_of


@pytest.fixture(params=registry.DRIVERS, ids=lambda driver: driver.name)
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each driver that is registered."""
    found: Driver = request.param
    return found


@pytest.fixture
def nodes(driver: Driver) -> tuple[Node, ...]:
    """Every role of every case of the driver."""
    return nodes_of(driver)
