"""Every command of the user guide and the README does what the page says: it is run, and it must end well."""

from __future__ import annotations

import asyncio
from operator import itemgetter

import pytest

from tests.walk.pages import PAGES, Page
from tests.walk.walker import Stopped, Walk


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("page", PAGES, ids=str)
async def test_page(page: Page, walks: dict[Page, asyncio.Task[Walk]]) -> None:
    """What a machine cannot run for want of a program is named at the end of `make test`."""
    (walk,) = await asyncio.gather(walks[page], return_exceptions=True)
    if isinstance(walk, Stopped):
        pytest.fail(str(walk), pytrace=False)
    assert isinstance(walk, Walk), repr(walk)
    longest = sorted(walk.blocks.items(), key=itemgetter(1))[-3:]
    told = ", ".join(f"{seconds:.1f} s at line {line}" for line, seconds in longest)
    print(f"\n{page}: {len(walk.blocks)} blocks, {sum(walk.blocks.values()):.1f} s ({told})")
    if walk.missing:
        pytest.skip(f"NOT RUN: walk: {page} ({', '.join(sorted(walk.missing))})")
