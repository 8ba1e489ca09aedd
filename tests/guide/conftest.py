"""One gateway for all tests of this folder; each test makes what it needs under names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.harness import System, database, running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The running gateway."""
    with database() as dsn, running(dsn, tmp_path_factory.mktemp("guide")) as made:
        yield made
