"""What autoscaling takes care of: failed changes, owners' wishes, work that stays, large bays, several scalers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from typing_extensions import override

from services.scaler.autoscale import Autoscaler, bay_created
from shared.coe.port import Look, Resources, Work
from shared.contracts.bay import BayCreated
from shared.db.repositories import scaling
from tests.scaler.autoscaled import (
    bay,
    decisions,
    leased,
    look,
    memo_of,
    resized,
    resizes,
    time_passes,
    until_quiet,
    waits,
)
from tests.scaler.played_coe import PlayedCoe
from tests.scaler.town import Town


async def test_after_a_failed_change_what_stands_counts_and_nothing_shrinks(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, *(f"shop/more-{number}" for number in range(6)), asks=Resources(1.9, 1))
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED', node_count = 6 WHERE id = $1", bay_id)
    await look(town)
    ((count, desired, _),) = await decisions(town, bay_id)
    assert (count, desired) == (2, 8)
    played.works.clear()
    await resized(town, bay_id)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay_id)
    for _ in range(2):
        await look(town)
        await time_passes(town, bay_id, 9_000)
    await look(town)
    assert await resizes(town, bay_id) == [8]


async def test_what_went_well_elsewhere_does_not_hide_a_failed_growth(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, *(f"shop/more-{number}" for number in range(6)), asks=Resources(1.9, 1))
    for kind, group, state in (
        ("resize", "default-worker", "failed"),
        ("resize", "more", "done"),
        ("heal", "x", "done"),
    ):
        await town.sql(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "VALUES (gen_random_uuid(), $1, $2, $3, 'scaler', 's', $4, 'u')",
            bay_id,
            kind,
            state,
            json.dumps({"node_count": 6, "nodegroup": group}),
        )
    await town.sql("UPDATE bays SET status = 'UPDATE_COMPLETE', node_count = 6 WHERE id = $1", bay_id)
    await look(town)
    ((count, desired, _),) = await decisions(town, bay_id)
    assert (count, desired) == (2, 8)


async def test_an_owners_resize_is_not_undone_where_nobody_set_a_maximum(town: Town) -> None:
    bay_id, _ = await bay(town, 6, labels={"auto_scaling_enabled": "true"})
    await town.sql(
        "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
        "VALUES (gen_random_uuid(), $1, 'create', 'done', 'provisioner', 's', '{\"node_count\": 2}', 'u')",
        bay_id,
    )
    town.access.bays[bay_id].works[0] = replace(town.access.bays[bay_id].works[0], asks=Resources(0.1, 1))
    await look(town)
    assert await resizes(town, bay_id) == [2]  # its creation alone


async def test_work_that_a_drain_would_not_move_keeps_its_node(town: Town) -> None:
    bay_id, played = await bay(town, 3, busy=False)
    for at in range(3):
        played.works.append(Work(f"shop/bare-{at}", f"node-{at}", Resources(0.1, 1), stays=False, held=True))
    await until_quiet(town, bay_id)
    assert await resizes(town, bay_id) == []


class _Noted(tuple[Work, ...]):
    """Work that notes who reads it."""

    readers: set[str]

    @override
    def __iter__(self) -> Iterator[Work]:
        self.readers.add(threading.current_thread().name)
        return super().__iter__()


@dataclass
class _Large(PlayedCoe):
    noted: _Noted | None = None

    @override
    async def look(self) -> Look:
        self.noted = _Noted((await super().look()).works)
        self.noted.readers = set()
        return Look(tuple(self.nodes.values()), self.noted)


@dataclass
class _Interrupted(PlayedCoe):
    meanwhile: Callable[[], Awaitable[None]] | None = None

    @override
    async def look(self) -> Look:
        assert self.meanwhile is not None
        await self.meanwhile()
        return await super().look()


async def test_a_change_that_fails_during_the_look_is_seen_before_anything_is_done(town: Town) -> None:
    """Status and count are as before, and what was counted by them is not."""
    bay_id, played = await bay(town)
    waits(played, "shop/more", asks=Resources(1.9, 1))

    async def fails() -> None:
        await town.sql(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "VALUES (gen_random_uuid(), $1, 'resize', 'failed', 'scaler', 's', '{\"node_count\": 2}', 'u')",
            bay_id,
        )

    town.access.bays[bay_id] = _Interrupted(nodes=played.nodes, works=played.works, meanwhile=fails)
    await look(town)
    assert (await decisions(town, bay_id), len(await resizes(town, bay_id))) == ([], 1)
    town.access.bays[bay_id] = played
    await look(town)
    assert len(await decisions(town, bay_id)) == 1


async def test_a_large_look_is_reckoned_beside_the_others(town: Town) -> None:
    bay_id, played = await bay(town)
    town.access.bays[bay_id] = large = _Large(nodes=played.nodes, works=played.works)
    await look(town)
    assert large.noted is not None
    assert large.noted.readers == {threading.main_thread().name}
    waits(played, *(f"shop/more-{number}" for number in range(1000)))
    await look(town)
    assert large.noted.readers
    assert threading.main_thread().name not in large.noted.readers
    assert await resizes(town, bay_id) == [10]


async def test_a_failed_growth_is_not_asked_for_again_at_once(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, "shop/more", asks=Resources(1.9, 1))
    await look(town)
    await town.sql("UPDATE operations SET state = 'failed' WHERE bay_id = $1", bay_id)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay_id)
    await look(town)
    await time_passes(town, bay_id, 599)
    await look(town)
    assert await resizes(town, bay_id) == [3]
    await time_passes(town, bay_id, 601)
    await look(town)
    assert await resizes(town, bay_id) == [3, 3]


async def test_from_zero_one_node_shows_how_large_they_are_and_that_is_remembered(town: Town) -> None:
    labels = {"auto_scaling_enabled": "true", "min_node_count": "0", "max_node_count": "9"}
    bay_id, played = await bay(town, 0, labels=labels)
    waits(played, *(f"shop/web-{number}" for number in range(8)))
    await look(town)
    assert await resizes(town, bay_id) == [1]
    await resized(town, bay_id)
    await town.nodes(bay_id, [])
    played.node("node-0", "10.0.0.10")
    await look(town)
    assert (await memo_of(town, bay_id)).get("size") is None  # nobody says that this is our node
    known, seen = await bay(town, 1, labels=labels)
    await look(town)
    seen.nodes.clear()
    seen.works.clear()
    await town.nodes(known, [])
    await town.sql("UPDATE bays SET node_count = 0 WHERE id = $1", known)
    waits(seen, *(f"shop/web-{number}" for number in range(8)))
    await look(town)
    assert await resizes(town, known) == [2]  # eight halves of a core on nodes with two


async def test_a_new_bay_is_looked_at_and_only_if_it_is_to_be(town: Town) -> None:
    wanted, _ = await bay(town)
    other, _ = await bay(town, labels={})
    for bay_id in (wanted, other):
        await bay_created(town.deps(), BayCreated(operation_id=uuid4(), bay_id=bay_id))
    assert [row["bay_id"] for row in await town.rows("SELECT bay_id FROM bay_checks")] == [wanted]


async def test_looks_spread_over_their_time(town: Town) -> None:
    for _ in range(12):
        await bay(town)
    await Autoscaler(town.deps()).search()
    rows = await town.rows("SELECT extract(epoch FROM next_at - now()) AS due FROM bay_checks")
    assert len({round(row["due"], 3) for row in rows}) == 12
    assert all(-1 < row["due"] <= 60 for row in rows)


async def test_the_last_two_hundred_decisions_are_kept(town: Town) -> None:
    bay_id, _ = await bay(town)
    for number in range(scaling.KEPT + 3):
        async with town.own.begin() as conn:
            await scaling.add(conn, bay_id, node_count=1, desired=1, reason=f"{number}.", seen={}, operation_id=None)
    found = await decisions(town, bay_id)
    assert [reason for _, _, reason in found] == [f"{number}." for number in range(3, scaling.KEPT + 3)]


async def test_of_two_scalers_one_looks(town: Town) -> None:
    bay_id, played = await bay(town)
    await look(town)
    await town.sql("UPDATE bay_checks SET next_at = now()")
    calls = len(played.calls)
    scalers = [Autoscaler(town.deps()) for _ in range(4)]
    assert sorted(await asyncio.gather(*(one.round() for one in scalers))) == [0, 0, 0, 1]
    for one in scalers:
        await one.finish()
    assert len(played.calls) == calls + 1
    assert not await leased(town, bay_id)
