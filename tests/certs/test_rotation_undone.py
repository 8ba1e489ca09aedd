"""A rotation is undone: at any moment before its last phase, and what comes back is what there was."""

from __future__ import annotations

import pytest

from services.certs.factory import Deps
from services.certs.steps import STEPS
from shared.domain.rotation import Phase
from shared.worker.outcome import Outcome, StepContext, StepFunction
from tests.certs.rotation_bay import Bay, MakeBay
from tests.certs.world import World


@pytest.mark.parametrize("phase", [Phase.TRUST, Phase.REISSUE])
@pytest.mark.parametrize("polled", [0, 1])
async def test_what_is_undone_ends_with_what_was_there_before(
    make: MakeBay, world: World, phase: Phase, polled: int
) -> None:
    bay = await make(3, 2)
    operation = await bay.start()
    await bay.until(operation, phase)
    if polled:
        await bay.poll(*bay.agents[:polled])
        await bay.look(operation)
    assert await bay.undo()
    assert await bay.signing() == 1
    await bay.finish(operation)
    assert {one.generation for one in bay.agents} == {1}
    assert await bay.remains() == [1]
    assert "the previous certificate authorities stay" in await bay.note("drop")
    trail = await world.column("SELECT detail FROM certificate_audit WHERE action LIKE '%undone'")
    assert trail == ["generation 1 shall remain"]
    assert not await bay.undo()

    # The number of the generation that was given up is not used again.
    again = await bay.start()
    await bay.finish(again)
    assert await bay.remains() == [3]


async def test_in_the_last_phase_there_is_no_way_back_but_for_what_was_undone_before(
    make: MakeBay, world: World
) -> None:
    bay = await make(1, 1)
    operation = await bay.start()
    await bay.until(operation, Phase.DROP)
    assert not await bay.undo()
    await bay.finish(operation)

    operation = await bay.start()
    await bay.until(operation, Phase.REISSUE)
    await bay.poll("m0")
    assert await bay.undo()
    await bay.until(operation, Phase.DROP)
    await world.rows(f"UPDATE operations SET deadline = now() WHERE id = '{operation}'")
    await bay.silent("w0", minutes=3)
    await bay.look(operation)
    assert await bay.state(operation) == "failed"
    assert "ask again to undo the rotation" in await bay.error(operation)
    assert await bay.undo()
    await bay.finish(await bay.start())
    assert await bay.remains() == [2]


async def test_undone_before_they_had_a_turn_nodes_are_left_alone(make: MakeBay) -> None:
    """A node that does not answer any more does not keep the others from the way back."""
    bay = await make(3, 0)
    operation = await bay.start()
    await bay.look(operation)
    await bay.silent("m2", minutes=60)
    assert await bay.undo()
    await bay.look(operation)
    assert await bay.turns() == {"m0": (Phase.REISSUE, 1), **dict.fromkeys(("m1", "m2"), (Phase.DROP, 1))}
    await bay.poll("m0", "m1")
    await bay.look(operation)
    await bay.poll("m0", "m1")
    await bay.look(operation)
    rotation = await bay.rotation()
    assert rotation is not None
    assert rotation.phase is Phase.DROP
    assert await bay.state(operation) == "active"  # m0 trusts both; its neighbour does not answer
    await bay.poll("m2")
    await bay.finish(operation)


async def test_who_may_be_restarting_when_it_is_undone_comes_first(make: MakeBay) -> None:
    bay = await make(2, 0)
    operation = await bay.start()
    await bay.until(operation, Phase.REISSUE)
    await bay.poll("m0")  # of generation 2 now
    await bay.look(operation)
    assert (await bay.turns())["m1"] == (Phase.REISSUE, 2)  # at work
    assert await bay.undo()
    await bay.look(operation)
    assert await bay.turns() == {"m0": (Phase.REISSUE, 2), "m1": (Phase.REISSUE, 1)}
    await bay.poll("m0")
    await bay.look(operation)
    assert (await bay.turns())["m0"] == (Phase.REISSUE, 2)  # what m1 said before does not count
    assert bay.agent("m0").generation == 2
    await bay.poll("m1")
    await bay.look(operation)
    assert (await bay.turns())["m0"] == (Phase.REISSUE, 1)
    await bay.finish(operation)


@pytest.mark.parametrize("phase", [Phase.TRUST, Phase.REISSUE])
async def test_undone_just_as_it_moves_on(make: MakeBay, world: World, phase: Phase) -> None:
    """1. The step has seen all nodes arrive. 2. It is undone. 3. The step's move finds another target."""
    bay = await make(1, 1)
    step = f"rotate_ca.{phase.value}"
    bay.steps = {**STEPS, step: _undoing(bay, STEPS[step])}
    operation = await bay.start()
    await bay.finish(operation)
    assert await bay.remains() == [1]
    back = "SELECT count(*) FROM certificate_audit WHERE detail = 'reissue, towards generation 1'"
    assert await world.column(back) == [2 if phase is Phase.REISSUE else 0]  # before anybody drops anything


def _undoing(bay: Bay, step: StepFunction[Deps]) -> StepFunction[Deps]:
    async def undo_before_apply(ctx: StepContext[Deps]) -> Outcome:
        outcome = await step(ctx)
        rotation = await bay.rotation()
        if type(outcome).__name__ == "Done" and rotation is not None and not rotation.undone:
            assert await bay.undo()
        return outcome

    return undo_before_apply
