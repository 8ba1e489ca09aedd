"""The simulated cloud answers as a real one did: every recorded conversation is played against it.

How to record them anew is told in cloudsim/README.md.
"""

from __future__ import annotations

import pytest

from tests.cloudsim.recorded.allowed import ALLOWED, allowed
from tests.cloudsim.recorded.replay import conversations, replay, steps_of


@pytest.mark.parametrize("conversation", conversations())
async def test_the_simulated_cloud_answers_as_the_real_one(conversation: str) -> None:
    async with replay() as play:
        outcomes = await play.play(steps_of(conversation))
    report = [
        f"{outcome.step}\n    {found}"
        for outcome in outcomes
        for found in outcome.found
        if not allowed(conversation, found)
    ]
    assert report == [], "\n".join(report)


async def test_no_allowance_is_stale() -> None:
    """What no recording needs any more must go, or it would hide the next difference."""
    needed = set()
    for conversation in conversations():
        async with replay() as play:
            outcomes = await play.play(steps_of(conversation))
        keys = {found.key for outcome in outcomes for found in outcome.found}
        needed |= {(which, key) for which in (conversation, conversation.split("/")[0]) for key in keys}
    stale = [(which, key) for which, entries in ALLOWED.items() for key in entries if (which, key) not in needed]
    assert stale == []
