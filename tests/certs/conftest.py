"""A migrated database per test, with a bay in it, and what the service is made of, connected with its own role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from shared.db.engine import make_engine
from shared.db.migrate import upgrade
from tests.certs.rotation_bay import Bay, MakeBay
from tests.certs.world import ROLE, World, as_role, new_bay
from tests.support.servers import fresh_database


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """The name of a migrated database that tests copy."""
    with asyncio.Runner() as runner:
        opened = fresh_database()
        dsn = runner.run(opened.__aenter__())
        upgrade_in_thread(dsn)
        try:
            yield urlsplit(dsn).path.lstrip("/")
        finally:
            runner.run(opened.__aexit__(None, None, None))


def upgrade_in_thread(dsn: str) -> None:
    """`upgrade` runs a loop of its own, which a thread that has one already does not allow."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(upgrade, dsn).result()


@pytest.fixture
async def dsn(template: str) -> AsyncIterator[str]:
    """A superuser's DSN of a fresh database."""
    async with fresh_database(template) as opened:
        yield opened


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """The service's parts around a fresh database that holds one bay without authorities."""
    engine = make_engine(as_role(dsn, ROLE), pool_size=8)
    with ThreadPoolExecutor(2) as cpu:
        try:
            yield World(dsn, engine, cpu, await new_bay(dsn, "kube"))
        finally:
            await engine.dispose()


@pytest.fixture
async def make(world: World) -> AsyncIterator[MakeBay]:
    """Makes bays whose authorities are to be rotated."""
    made: list[Bay] = []

    async def one(masters: int, workers: int) -> Bay:
        made.append(await Bay.of(world, masters, workers))
        return made[-1]

    yield one
    for bay in made:
        await bay.gateway.dispose()
