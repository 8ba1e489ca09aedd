"""The steps that wait for the nodes, one for each phase.

A look, in order:

    1. Load rotation, nodes and authorities in one view. The rotation's row says the phase, not the step: one that is
       further on ends this step, and one that is not so far yet sends it back. That happens when the rotation was
       undone just as a step wanted to move on: the move found no row, because its target was no longer the one seen.
    2. Undone in the first phase: nobody can have certificates of the new authorities, so there is nothing to wait for.
       Nodes that had no turn yet go on to trust the previous ones alone, at once; the others follow in the last phase.
    3. All have arrived: move on, or in the last phase end. A server that may be left from a change that failed keeps
       the rotation from its last phase, since it would be cut off (`rotations.strangers`).
    4. Else wait, and give turns; when the time is up, name those that are late. The rotation stays as it is then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.factory import Deps
from services.certs.rotation import finish, words
from services.certs.rotation.turns import Scene
from shared.db.repositories import authorities, rotations
from shared.db.repositories.authorities import KINDS
from shared.domain.rotation import Goal, Phase, Rotation, Turn
from shared.worker.outcome import Apply, Back, Broke, Done, Outcome, StepContext, Wait

_ORDER: Final = tuple(Phase)
_STEPS: Final = {Phase.TRUST: "rotate_ca.trust", Phase.REISSUE: "rotate_ca.reissue"}


async def await_trust(ctx: StepContext[Deps]) -> Outcome:
    """Wait until every node trusts both generations."""
    return await _look(ctx, Phase.TRUST)


async def await_certificates(ctx: StepContext[Deps]) -> Outcome:
    """Wait until every node uses certificates of the generation that shall remain."""
    return await _look(ctx, Phase.REISSUE)


async def await_drop(ctx: StepContext[Deps]) -> Outcome:
    """Wait until every node trusts that generation alone, and end the rotation."""
    return await _look(ctx, Phase.DROP)


async def _look(ctx: StepContext[Deps], own: Phase) -> Outcome:
    scene, strangers = await _load(ctx)  # 1
    if scene is None:
        return Broke("The rotation is not under way any more. Ask for it again.")
    rotation = scene.rotation
    ahead = _ORDER.index(rotation.phase) - _ORDER.index(own)
    if ahead:
        return Done() if ahead > 0 else Back(_STEPS[rotation.phase], 0.0)
    if not scene.nodes:
        return Broke(words.NO_NODES)
    if rotation.phase is Phase.TRUST and rotation.undone:  # 2
        return Done(_skip(scene), note="The rotation was undone.")
    if scene.late():
        return _wait(ctx, scene)  # 4
    if rotation.phase is Phase.DROP:
        return await finish.end(ctx, rotation)
    following = _ORDER[_ORDER.index(rotation.phase) + 1]
    if following is Phase.DROP and strangers:
        return _hold(ctx, scene, strangers)
    return Done(_move(rotation, following))  # 3


async def _load(ctx: StepContext[Deps]) -> tuple[Scene | None, list[str]]:
    bay_id = ctx.bay.id
    async with ctx.deps.engine.connect() as plain:
        conn = await plain.execution_options(isolation_level="REPEATABLE READ")
        rotation = await rotations.of(conn, bay_id)
        if rotation is None:
            return None, []
        nodes = await rotations.progress(conn, bay_id)
        strangers = await rotations.strangers(conn, bay_id)
        trusted = await authorities.trusted(conn, bay_id, *KINDS)
    goal = Goal.of(rotation, ((one.generation, one.certificate) for one in trusted))
    return Scene(goal, nodes), strangers


def _move(seen: Rotation, phase: Phase, turns: Sequence[Turn] = ()) -> Apply:
    """Move on, with turns that change nothing for those who get them."""

    async def write(conn: AsyncConnection) -> None:
        # If it was undone since, nothing is written: the next step finds that out and goes back.
        if await rotations.move(conn, seen, phase):
            await rotations.give(conn, seen.bay_id, turns, known=True)

    return write


def _skip(scene: Scene) -> Apply:
    """Those who had no turn get the last one: they trust the previous authorities alone already."""
    target = scene.rotation.target
    turns = [Turn(node.server_id, Phase.DROP, target) for node in scene.nodes if node.turn is None]
    return _move(scene.rotation, Phase.REISSUE, turns)


def _wait(ctx: StepContext[Deps], scene: Scene) -> Outcome:
    if ctx.operation.overdue:
        return words.in_vain(scene)
    turns = scene.next_turns()

    async def give(conn: AsyncConnection) -> None:
        await rotations.give(conn, ctx.bay.id, turns)

    return Wait(ctx.deps.sweep_seconds, note=words.note(scene), apply=give)


def _hold(ctx: StepContext[Deps], scene: Scene, strangers: Sequence[str]) -> Outcome:
    told = words.unknown(scene, strangers)
    return Broke(told) if ctx.operation.overdue else Wait(ctx.deps.sweep_seconds, note=told)
