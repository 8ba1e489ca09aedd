"""Moving work away from nodes that leave: closed first, by budgets, within a time that outlives the process."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.scaler.steps.drain import FORCE_SECONDS, TRIES
from services.scaler.steps.plan import LOOKS
from shared.domain.bay_state import BayStatus
from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.common.labels import judge_labels
from shared.drivers.contract import Driver
from tests.scaler.played_coe import PlayedCoe, refused
from tests.scaler.town import Town

BUDGET = "budget shop/web allows no disruption"


async def test_work_goes_elsewhere_and_nothing_new_comes(town: Town) -> None:
    bay, coe = await _shop(town)
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation) == "resize.stack"
    assert coe.closed() == {"node-2"}
    assert [work.node for work in coe.works if not work.stays] == ["node-0"]
    assert await town.note(operation, "resize.drain") == "Drained: node-2."
    assert await town.left_behind(bay) == {"node-2"}


async def test_nobody_is_closed_when_nobody_leaves(town: Town) -> None:
    bay, coe = await _shop(town)
    operation = await town.resize(bay, 4)
    assert await town.turns(operation) == "resize.stack"
    assert (coe.calls, await town.left_behind(bay)) == ([], set())


async def test_what_is_left_is_told_while_it_is_waited_for(town: Town) -> None:
    bay, coe = await _shop(town)
    coe.runs("shop/db-1", "node-2")
    coe.slow |= {"shop/web-2", "shop/db-1"}
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turn(operation) == "resize.drain"
    told = await town.note(operation, "resize.drain")
    assert told == f"2 pods left on node-2: shop/web-2 ({BUDGET}), shop/db-1"
    coe.slow.clear()
    coe.budgets.clear()
    assert await town.turn(operation) == "resize.stack"


async def test_the_row_is_written_before_the_node_is_closed(town: Town) -> None:
    """Whoever dies in between leaves something to find."""
    bay, coe = await _shop(town)
    coe.errors = [refused()]
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    assert coe.closed() == set()
    assert await town.left_behind(bay) == {"node-2"}


async def test_drain_timeout(town: Town) -> None:
    """From the first pass, by the database's clock; whoever runs the next pass may be another process."""
    bay, coe = await _shop(town, drain_timeout="100")
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turn(operation) == "resize.drain"
    await town.time_passes(bay, 95)
    assert await town.turn(operation) == "resize.drain"
    assert await town.error(operation) is None
    await town.time_passes(bay, 6)
    await town.turn(operation)
    assert await town.error(operation) is not None

    bay, coe = await _shop(town, drain_timeout="0")
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation) == "resize.stack"
    assert coe.calls == []
    assert await town.note(operation, "resize.drain") == "Not drained: label drain_timeout is 0."


async def test_drain_on_timeout(town: Town) -> None:
    """`fail` is the default."""
    for labels in ({}, {"drain_on_timeout": "fail"}):
        bay, coe = await _shop(town, **labels)
        coe.budgets["shop/web-2"] = BUDGET
        operation = await _expired(town, bay)
        error = await town.error(operation)
        assert error is not None
        assert error.startswith(f"After 300 s 1 pod left on node-2: shop/web-2 ({BUDGET}). The nodes stay and take")
        assert (coe.closed(), await town.left_behind(bay)) == (set(), set())
        (row,) = await town.rows("SELECT status, faults->>'node-2' AS fault FROM bays WHERE id = $1", bay)
        assert (row["status"], row["fault"]) == (BayStatus.UPDATE_FAILED, f"shop/web-2 ({BUDGET})")

    bay, coe = await _shop(town, drain_on_timeout="force")
    coe.budgets["shop/web-2"] = BUDGET
    operation = await _expired(town, bay)
    assert await town.step(operation) == "resize.stack"
    assert await town.error(operation) is None
    assert coe.closed() == {"node-2"}
    assert coe.calls[-1] == "drain by force"


async def test_force_waits_only_so_long(town: Town) -> None:
    bay, coe = await _shop(town, drain_on_timeout="force")
    coe.slow.add("shop/web-2")
    operation = await _expired(town, bay)
    assert await town.step(operation) == "resize.drain"
    assert await town.note(operation, "resize.drain") == "By force: 1 pod left on node-2: shop/web-2"
    await town.time_passes(bay, FORCE_SECONDS)
    assert await town.turn(operation) == "resize.stack"


@pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
@pytest.mark.parametrize(
    ("label", "value", "good"),
    [
        ("drain_timeout", "0", True),
        ("drain_timeout", "86400", True),
        ("drain_timeout", "86401", False),
        ("drain_timeout", "-1", False),
        ("drain_timeout", "5m", False),
        ("drain_on_timeout", "force", True),
        ("drain_on_timeout", "maybe", False),
    ],
)
def test_the_door_knows_the_labels(driver: Driver, label: str, value: str, good: bool) -> None:
    if good:
        assert judge_labels(driver, {label: value}) == []
    else:
        with pytest.raises(InvalidInput, match=label):
            judge_labels(driver, {label: value})


async def test_a_label_of_an_older_bay_that_makes_no_sense_counts_as_none(town: Town) -> None:
    bay, coe = await _shop(town, drain_timeout="five minutes")
    coe.budgets["shop/web-2"] = BUDGET
    operation = await _expired(town, bay)
    assert str(await town.error(operation)).startswith("After 300 s")


async def test_what_somebody_else_closed_stays_closed(town: Town) -> None:
    bay, coe = await _shop(town)
    coe.somebody_closes("node-2")
    coe.budgets["shop/web-2"] = BUDGET
    await _expired(town, bay)
    assert coe.closed() == {"node-2"}


# an API that cannot be asked (docs/decisions/0017)


async def test_a_private_bay_is_shrunk_undrained(town: Town) -> None:
    bay, coe = await _shop(town)
    town.access.out_of_reach.add(bay)
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation) == "resize.stack"
    assert await town.note(operation, "resize.drain") == "Not drained: This bay is not reached from here."
    assert (coe.calls, await town.left_behind(bay)) == ([], set())


async def test_a_bay_that_never_answers_is_shrunk_undrained(town: Town) -> None:
    bay, coe = await _shop(town)
    coe.dead = refused()
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation, most=TRIES) == "resize.stack"
    assert len(coe.calls) == TRIES
    assert (await town.note(operation, "resize.drain")).startswith("Not drained: The bay's Kubernetes did not answer")


async def test_unless_its_owner_said_fail(town: Town) -> None:
    bay, coe = await _shop(town, drain_on_timeout="fail")
    coe.dead = refused()
    operation = await town.resize(bay, 2, "node-2")
    await town.turns(operation, most=TRIES)
    assert await town.error(operation) == (
        "node-2 could not be drained, and label drain_on_timeout is fail. "
        "The bay's Kubernetes did not answer: cannot connect."
    )


@pytest.mark.parametrize("after", ["resize.plan", "resize.drain"])
@pytest.mark.parametrize("force", [True, False])
async def test_a_bay_that_answered_once_is_asked_until_the_time_is_up(town: Town, after: str, force: bool) -> None:
    bay, coe = await _shop(town, **({"drain_on_timeout": "force"} if force else {}))
    coe.slow.add("shop/web-2")
    named = [] if after == "resize.plan" else ["node-2"]
    coe.dies_after = 1 if after == "resize.plan" else 3  # look; or look, close and drain
    operation = await town.resize(bay, 2, *named)
    for _ in range(2 * (TRIES + LOOKS)):
        assert await town.turn(operation) == "resize.drain"
    assert "Trying again." in await town.note(operation, "resize.drain")
    await town.time_passes(bay, 301)
    if force:
        assert await town.turn(operation) == "resize.stack"
    else:
        await town.turn(operation)
        assert "could not be drained. The bay's Kubernetes did not answer" in str(await town.error(operation))
        assert await town.left_behind(bay) == {"node-1" if after == "resize.plan" else "node-2"}


async def test_it_answers_again_in_time(town: Town) -> None:
    bay, coe = await _shop(town)
    operation = await town.resize(bay, 2, "node-2")
    coe.errors = [refused() for _ in range(TRIES - 1)]
    assert await town.turns(operation) == "resize.stack"
    assert await town.note(operation, "resize.drain") == "Drained: node-2."


async def test_that_we_have_no_certificate_is_not_the_bays_fault(town: Town) -> None:
    bay, coe = await _shop(town)
    coe.dead = refused(service="certs")
    operation = await town.resize(bay, 2, "node-2")
    for _ in range(2 * TRIES):
        assert await town.turn(operation) == "resize.drain"
    coe.dead = None
    assert await town.turn(operation) == "resize.stack"
    assert await town.note(operation, "resize.drain") == "Drained: node-2."


async def test_a_delete_ends_the_wait(town: Town) -> None:
    bay, coe = await _shop(town)
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    await town.sql("UPDATE bays SET wanted = 'gone', status = 'DELETE_IN_PROGRESS' WHERE id = $1", bay)
    calls = len(coe.calls)
    await town.turn(operation)
    (row,) = await town.rows("SELECT state FROM operations WHERE id = $1", operation)
    assert (row["state"], len(coe.calls)) == ("superseded", calls)


async def _shop(town: Town, **labels: str) -> tuple[UUID, PlayedCoe]:
    """Three nodes; shop/web-2 and something that stays run on node-2."""
    bay, coe = await town.bay(3, labels=labels)
    coe.runs("shop/web-2", "node-2")
    coe.runs("kube-system/flannel-2", "node-2", stays=True)
    return bay, coe


async def _expired(town: Town, bay: UUID) -> UUID:
    """A drain of node-2 whose time is just up."""
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    await town.time_passes(bay, 301)
    await town.turn(operation)
    return operation
