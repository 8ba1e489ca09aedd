"""Bays at rest beside the cloud: one query for all of a project, writes only where nothing has begun meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import make_engine
from shared.db.repositories import drift
from shared.db.repositories.drift import Resting
from shared.domain.errors import IllegalTransition
from tests.support.database import as_role, migrated_database

MANY = 10_000
KEY = "cloud.server.n-0"


@dataclass
class Place:
    """An empty database, as its administrator and as the provisioner sees it."""

    admin: asyncpg.Connection
    engine: AsyncEngine

    async def bays(self, count: int, status: str = "CREATE_COMPLETE") -> list[UUID]:
        """So many bays of two servers, with an operation behind each."""
        await self.admin.execute(
            "INSERT INTO baymodels (id, project_id, user_id, name, coe, image_id) "
            "VALUES (gen_random_uuid(), 'p', 'u', 'm', 'k', 'i')"
        )
        made = await self.admin.fetch(
            "INSERT INTO bays (id, project_id, user_id, name, baymodel_id, driver, status, stack_name, stack_id, "
            "node_count, master_count, stack_seen) SELECT gen_random_uuid(), 'p', 'u', 'b', m.id, 'd', $2, 's', 'i', "
            "1, 1, 'CREATE_COMPLETE None' FROM baymodels m, generate_series(1, $1) RETURNING id",
            count,
            status,
        )
        await self.admin.execute(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
            "SELECT id, 'v-' || n, 'worker', n, 'n-' || n, 'a', 'a' FROM bays, generate_series(0, 1) n"
        )
        await self.admin.execute(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "SELECT gen_random_uuid(), id, 'create', 'done', 'provisioner', 's', '{}', 'u' FROM bays"
        )
        await self.admin.execute("ANALYZE")
        return [row["id"] for row in made]

    async def resting(self) -> list[Resting]:
        async with self.engine.connect() as conn:
            return await drift.resting(conn, "p")

    async def tell(self, bay: UUID, found: dict[str, str], *, ill: bool = True) -> tuple[str | None, dict[str, Any]]:
        """What is known of the bay's health afterwards."""
        async with self.engine.begin() as conn:
            await drift.tell(conn, bay, found, ill=ill)
        query = "SELECT health_status, health_status_reason FROM bays WHERE id = $1"
        row = await self.admin.fetchrow(query, bay)
        return row["health_status"], json.loads(row["health_status_reason"])

    async def begin(self, bay: UUID, state: str = "active") -> None:
        """An operation on the bay."""
        await self.admin.execute(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "VALUES (gen_random_uuid(), $1, 'resize', $2, 'scaler', 's', '{}', 'u')",
            bay,
            state,
        )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with migrated_database() as dsn:
        admin, engine = await asyncpg.connect(dsn), make_engine(as_role(dsn, "jb_provisioner"), pool_size=2)
        try:
            yield Place(admin, engine)
        finally:
            await engine.dispose()
            await admin.close()


async def test_ten_thousand_bays_are_one_query_that_reads_each_row_once(place: Place) -> None:
    bays = await place.bays(MANY)
    await place.begin(bays[0])
    await place.admin.execute("UPDATE bays SET wanted = 'gone' WHERE id = $1", bays[1])
    await place.admin.execute("UPDATE bays SET status = 'CREATE_FAILED' WHERE id = $1", bays[2])
    found = await place.resting()
    assert {one.id for one in found} == set(bays[3:])
    assert {len(one.servers) for one in found} == {2}
    query = drift._RESTING.text.replace(":project", "'p'")
    plan = json.loads(await place.admin.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))
    assert _visited(plan[0]["Plan"]) <= 6 * MANY


def _visited(node: dict[str, Any]) -> int:
    here = 0
    if "Relation Name" in node:
        here = int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
    return here + sum(map(_visited, node.get("Plans", ())))


@pytest.mark.parametrize("state", ["active", "queued", "done"])
async def test_a_bay_on_which_something_began_since_is_let_alone(place: Place, state: str) -> None:
    (bay,) = await place.bays(1)
    (one,) = await place.resting()
    async with place.engine.begin() as conn:
        assert await drift.still(conn, one)
    await place.begin(bay, state)
    async with place.engine.begin() as conn:
        assert not await drift.still(conn, one)


async def test_a_bay_that_is_to_go_is_let_alone(place: Place) -> None:
    await place.bays(1)
    (one,) = await place.resting()
    await place.admin.execute("UPDATE bays SET wanted = 'gone'")
    async with place.engine.begin() as conn:
        assert not await drift.still(conn, one)
    await place.admin.execute("DELETE FROM bays")
    async with place.engine.begin() as conn:
        assert not await drift.still(conn, one)


async def test_what_others_say_stays(place: Place) -> None:
    (bay,) = await place.bays(1)
    await place.admin.execute(
        "UPDATE bays SET health_status = 'HEALTHY', coe_health = 'HEALTHY', health_status_reason = '{\"api\": \"ok\"}'"
    )
    assert await place.tell(bay, {KEY: "gone"}) == ("UNHEALTHY", {"api": "ok", KEY: "gone"})
    assert (await place.resting())[0].told == {KEY: "gone"}
    assert await place.tell(bay, {}, ill=False) == ("HEALTHY", {"api": "ok"})


async def test_what_was_only_ours_leaves_nothing(place: Place) -> None:
    (bay,) = await place.bays(1)
    assert await place.tell(bay, {KEY: "gone"}) == ("UNHEALTHY", {KEY: "gone"})
    assert await place.tell(bay, {}, ill=False) == (None, {})


async def test_a_change_that_does_no_harm_leaves_the_health_as_it_is(place: Place) -> None:
    (bay,) = await place.bays(1)
    await place.admin.execute("UPDATE bays SET health_status = 'HEALTHY', coe_health = 'HEALTHY'")
    assert await place.tell(bay, {"cloud.stack": "changed"}, ill=False) == ("HEALTHY", {"cloud.stack": "changed"})
    assert await place.tell(bay, {}, ill=False) == ("HEALTHY", {})


async def test_what_a_healer_found_unhealthy_itself_is_not_taken_back(place: Place) -> None:
    (bay,) = await place.bays(1)
    await place.admin.execute(
        "UPDATE bays SET health_status = 'UNHEALTHY', coe_health = 'UNHEALTHY', "
        'health_status_reason = \'{"api": "no"}\''
    )
    assert await place.tell(bay, {}, ill=False) == ("UNHEALTHY", {"api": "no"})


async def test_a_lost_stack_ends_the_bay_and_its_health_is_forgotten(place: Place) -> None:
    (bay,) = await place.bays(1)
    await place.tell(bay, {KEY: "gone"})
    (one,) = await place.resting()
    async with place.engine.begin() as conn:
        await drift.lose(conn, one, "Stack s (i) not found in Heat.")
    row = await place.admin.fetchrow("SELECT status, status_reason, health_status FROM bays")
    assert tuple(row) == ("CREATE_FAILED", "Stack s (i) not found in Heat.", None)
    assert await place.resting() == []
    with pytest.raises(IllegalTransition):
        async with place.engine.begin() as conn:
            await drift.lose(conn, one, "again")


async def test_how_stacks_look_is_noted_once_for_bays_of_an_older_release(place: Place) -> None:
    old, new = await place.bays(2)
    await place.admin.execute("UPDATE bays SET stack_seen = NULL WHERE id = $1", old)
    async with place.engine.begin() as conn:
        await drift.remember_first(conn, {old: "UPDATE_COMPLETE t", new: "UPDATE_COMPLETE t"})
        assert await drift.seen(conn, old) == "UPDATE_COMPLETE t"
        assert await drift.seen(conn, new) == "CREATE_COMPLETE None"
        await drift.remember(conn, new, "UPDATE_COMPLETE t")
        assert await drift.seen(conn, new) == "UPDATE_COMPLETE t"


@pytest.mark.parametrize(("kind", "changed"), [("resize", False), ("rotate_credentials", True)])
async def test_only_an_operation_that_changes_the_stack_tells_how_it_should_look(
    place: Place, kind: str, changed: bool
) -> None:
    (bay,) = await place.bays(1)
    for each, state in ((kind, "failed"), ("rotate_credentials", "done")):
        await place.admin.execute(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "VALUES (gen_random_uuid(), $1, $2, $3, 'provisioner', 's', '{}', 'u')",
            bay,
            each,
            state,
        )
    assert (await place.resting())[0].changed is changed


@pytest.mark.parametrize(
    ("deeds", "changed"),
    [
        ([("resize", "failed", "more", False)], True),
        ([("upgrade", "failed", "more", False)], True),
        ([("heal", "failed", "default-master", False)], True),
        ([("resize_masters", "failed", "default-master", False)], False),
        ([("resize", "failed", "default-worker", False), ("resize", "done", "more", False)], False),
        ([("resize", "failed", "default-worker", False), ("heal", "done", "more", False)], False),
        ([("resize", "failed", "default-worker", False), ("heal", "done", "default-worker", True)], False),
        ([("resize", "failed", "default-worker", False), ("heal", "done", "default-worker", False)], True),
    ],
)
async def test_what_is_done_beside_the_first_stack_says_nothing_of_it(
    place: Place, deeds: list[tuple[str, str, str, bool]], changed: bool
) -> None:
    (bay,) = await place.bays(1)
    for kind, state, nodegroup, recovered in deeds:
        await place.admin.execute(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, memo, requested_by) "
            "VALUES (gen_random_uuid(), $1, $2, $3, 'provisioner', 's', $4, $5, 'u')",
            bay,
            kind,
            state,
            json.dumps({"nodegroup": nodegroup}),
            json.dumps({"recovered": True} if recovered else {}),
        )
    assert (await place.resting())[0].changed is changed
