"""A bay outlives every token that it was made with, and the user who made it."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.realcloud.cells import Cell
from tests.realcloud.conftest import Site
from tests.realcloud.people import Person
from tests.realcloud.shell import Shell
from tests.realheat.ground import until_as_before

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE = 300.0
"""Seconds that a token may live for this test to wait for the end of two."""


async def test_a_bay_outlives_tokens_and_its_creator(site: Site) -> None:
    creator, other = await site.premises.project("tokens", site.domain, users=2)
    life = await token_life(other)
    if life > PATIENCE:
        pytest.skip(f"NOT RUN: realcloud tokens (tokens of this cloud live {life:.0f} s, more than {PATIENCE:.0f})")
    async with site.bay("tokens", Cell("swarm_fedora_atomic"), other) as bay:
        before = await bay.ground.counts()
        bay.shell, others = Shell.of(creator, site.root), bay.shell
        await bay.template()
        await bay.create()
        await asyncio.sleep(2 * life + 5)  # what is tested is time itself
        await bay.resize(2, "resize after two token lives")
        await site.premises.dismiss(creator)
        bay.shell = others
        await bay.resize(1, "resize without the creator")
        await bay.delete()
        assert await until_as_before(bay.ground, before) == before


async def token_life(person: Person) -> float:
    """Seconds that a new token has."""
    cloud = person.open()
    try:
        return (await cloud.auth.token()).expires_at - time.time()
    finally:
        await cloud.close()
