"""What earlier operations say of a bay: whether our record is of all that stands, and whether counts were reached.

Groups are found by what they are: a uuid is no name.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import make_engine
from shared.db.repositories import nodegroups, past
from tests.support.database import as_role, migrated_database

Deed = tuple[str, str, Mapping[str, object], Mapping[str, object]]
"""Kind, state, request and memo of an operation."""
MORE = {"nodegroup": "more"}
WORKERS = {"nodegroup": "default-worker"}


@dataclass
class Place:
    """One bay, as its administrator and as the provisioner sees it."""

    admin: asyncpg.Connection
    engine: AsyncEngine
    bay: UUID

    async def did(self, *deeds: Deed) -> None:
        """What has ended, oldest first."""
        for kind, state, request, memo in deeds:
            await self.admin.execute(
                "INSERT INTO operations (id, bay_id, kind, state, service, step, request, memo, requested_by) "
                "VALUES (gen_random_uuid(), $1, $2, $3, 'provisioner', 's', $4, $5, 'u')",
                self.bay,
                kind,
                state,
                json.dumps(request),
                json.dumps(memo),
            )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with migrated_database() as dsn:
        admin, engine = await asyncpg.connect(dsn), make_engine(as_role(dsn, "jb_provisioner"), pool_size=2)
        try:
            model, bay = uuid4(), uuid4()
            await admin.execute(
                "INSERT INTO baymodels (id, project_id, user_id, name, coe, image_id) "
                "VALUES ($1, 'p', 'u', 'm', 'k', 'i')",
                model,
            )
            await admin.execute(
                "INSERT INTO bays (id, project_id, user_id, name, baymodel_id, driver, status, stack_name, node_count, "
                "master_count) VALUES ($1, 'p', 'u', 'b', $2, 'd', 'UPDATE_COMPLETE', 's', 1, 1)",
                bay,
                model,
            )
            yield Place(admin, engine, bay)
        finally:
            await engine.dispose()
            await admin.close()


FAILED: Deed = ("resize", "failed", WORKERS, {})


@pytest.mark.parametrize(
    ("deeds", "whole"),
    [
        ([], True),
        ([FAILED], False),
        ([FAILED, ("resize", "done", WORKERS, {})], True),
        ([FAILED, ("heal", "done", WORKERS, {})], True),
        ([FAILED, ("heal", "done", WORKERS, {"recovered": True})], False),
        ([FAILED, ("resize_masters", "done", {}, {})], False),
        ([("resize", "done", WORKERS, {}), ("resize_masters", "failed", {}, {})], False),
        ([("resize", "done", WORKERS, {}), ("heal", "done", WORKERS, {"recovered": True})], True),
    ],
)
async def test_only_who_looked_at_all_that_stands_says_that_it_is_on_record(
    place: Place, deeds: list[Deed], whole: bool
) -> None:
    await place.did(*deeds)
    async with place.engine.connect() as conn:
        assert await past.left_whole(conn, place.bay, uuid4()) == whole


@pytest.mark.parametrize(
    ("deeds", "missed"),
    [
        ([("create", "done", {}, {})], False),
        ([FAILED], True),
        ([("resize", "failed", {}, {})], True),
        ([FAILED, ("resize", "done", MORE, {})], True),
        ([FAILED, ("heal", "done", WORKERS, {})], True),
        ([FAILED, ("rotate_credentials", "done", {}, {})], True),
        ([FAILED, ("resize", "done", WORKERS, {})], False),
        ([FAILED, ("resize", "cancelled", WORKERS, {})], True),
        ([("create", "done", {}, {}), ("heal", "failed", WORKERS, {})], True),
        ([("create", "done", {}, {}), ("resize", "failed", MORE, {})], False),
        ([("create", "done", {}, {}), ("rotate_ca", "failed", {}, {})], False),
    ],
)
async def test_whether_a_group_has_missed_its_count_is_said_by_its_own_operations(
    place: Place, deeds: list[Deed], missed: bool
) -> None:
    await place.did(*deeds)
    async with place.engine.connect() as conn:
        assert await past.missed_count(conn, [place.bay, uuid4()]) == ({place.bay} if missed else set())


async def test_a_group_whose_name_reads_as_a_uuid_is_found_by_it(place: Place) -> None:
    name = str(uuid4())
    await place.admin.execute("UPDATE nodegroups SET name = $2 WHERE bay_id = $1 AND role = 'worker'", place.bay, name)
    async with place.engine.connect() as conn:
        found = await nodegroups.by_name(conn, place.bay, name)
        assert found is not None
        assert found.name == name
        assert await nodegroups.by_name(conn, place.bay, str(found.id)) is None
