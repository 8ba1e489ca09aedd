"""A fresh simulated cloud for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cloudsim.heat.support import Heat, heat_of


@pytest.fixture
async def heat() -> AsyncIterator[Heat]:
    """The project demo's Heat, in virtual time."""
    async with heat_of() as found:
        yield found
