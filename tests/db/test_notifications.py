"""Which notifications a bay's changes leave in the outbox, for which service's relay, and in whose name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import NotifyAs, make_engine
from shared.db.repositories import bays, operations, outbox
from shared.db.tables import baymodels
from shared.domain.bay import Bay
from shared.domain.bay_state import BayEvent
from shared.domain.errors import IllegalTransition
from shared.domain.operation import OperationKind
from tests.support.database import as_role, migrated_database


@dataclass
class World:
    """One database, and engines in it that tell what is done."""

    dsn: str
    admin: AsyncEngine
    engines: list[AsyncEngine]

    def engine(self, role: str = "api", host: str = "host-a", *, notify: bool = True) -> AsyncEngine:
        """A service's engine."""
        made = make_engine(
            as_role(self.dsn, f"jb_{role}"), pool_size=2, notify=NotifyAs(role, host) if notify else None
        )
        self.engines.append(made)
        return made

    async def bay(self, engine: AsyncEngine, **columns: Any) -> UUID:
        """What the gateway writes on POST."""
        bay_id, model_id = uuid4(), uuid4()
        common: dict[str, Any] = {"project_id": "p", "user_id": "owner", "name": "bay"}
        async with engine.begin() as conn:
            await conn.execute(insert(baymodels).values(id=model_id, coe="kubernetes", image_id="i", **common))
            await bays.insert_bay(
                conn,
                id=bay_id,
                baymodel_id=model_id,
                driver="k8s_fedora_atomic",
                stack_name=f"bay-{bay_id.hex[:12]}-1",
                node_count=1,
                master_count=1,
                **common,
                **columns,
            )
        return bay_id

    async def move(self, engine: AsyncEngine, bay_id: UUID, event: BayEvent, **more: Any) -> None:
        """One event in a transaction of its own."""
        async with engine.begin() as conn:
            await bays.apply_event(conn, bay_id, event, **more)

    async def rows(self) -> list[Any]:
        """The outbox from the oldest on."""
        async with self.admin.connect() as conn:
            return list(await conn.execute(text("SELECT * FROM outbox ORDER BY seq")))

    async def told(self) -> list[tuple[str, str, str]]:
        """(action, outcome, initiator) of each notification."""
        payloads = [json.loads(row.body)["payload"] for row in await self.rows() if "notification" in row.headers]
        return [(one["action"], one["outcome"], one["initiator"]["user_id"]) for one in payloads]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with migrated_database() as dsn:
        made = World(dsn, make_engine(dsn, pool_size=2), [])
        yield made
        for engine in (made.admin, *made.engines):
            await engine.dispose()


async def test_nothing_is_told_unless_it_is_wanted(world: World) -> None:
    quiet = world.engine(notify=False)
    bay_id = await world.bay(quiet)
    await world.move(quiet, bay_id, BayEvent.DELETE_ASKED)
    assert await world.rows() == []


async def test_a_bays_life_is_told_by_whoever_moves_it(world: World) -> None:
    api, certs, provisioner = world.engine("api"), world.engine("certs", "host-b"), world.engine("provisioner")
    bay_id = await world.bay(api)
    await world.move(provisioner, bay_id, BayEvent.CREATED)
    await world.move(api, bay_id, BayEvent.UPDATE_ASKED)
    await world.move(certs, bay_id, BayEvent.UPDATE_BROKE, reason="No host.")
    await world.move(api, bay_id, BayEvent.DELETE_ASKED)
    await world.move(world.engine("scaler"), bay_id, BayEvent.DELETE_BROKE, reason="In use.")
    rows = await world.rows()
    assert [(row.service, row.name, row.headers) for row in rows] == [
        ("api.notifications", "magnum.cluster.create", {"notification": "info"}),
        ("provisioner.notifications", "magnum.cluster.create", {"notification": "info"}),
        ("api.notifications", "magnum.cluster.update", {"notification": "info"}),
        ("certs.notifications", "magnum.cluster.update", {"notification": "error"}),
        ("api.notifications", "magnum.cluster.delete", {"notification": "info"}),
        ("scaler.notifications", "magnum.cluster.delete", {"notification": "error"}),
    ]
    bodies = [json.loads(row.body) for row in rows]
    assert [body["message_id"] for body in bodies] == [str(row.id) for row in rows]
    assert {body["publisher_id"] for body in bodies} == {"container-infra.host-a", "container-infra.host-b"}
    times = [body["payload"]["eventTime"] for body in bodies]
    assert times == sorted(times)


async def test_the_payload_shows_the_bay_as_the_change_left_it(world: World) -> None:
    secret = {"ssh_public_key": "ssh-ed25519 AAAA", "http_proxy": "http://user:hush@proxy"}
    spec = {"keypair_name": "key", "docker_volume_size": 7, "flavor_id": "m1", "master_flavor_id": "m2", **secret}
    api = world.engine()
    bay_id = await world.bay(api, spec=spec, labels={"a": "b"}, discovery_url="https://etcd.example.org/1")
    await world.move(api, bay_id, BayEvent.DELETE_ASKED, reason="Why not.")
    row = (await world.rows())[-1]
    target = json.loads(row.body)["payload"]["target"]
    assert (target["id"], target["name"]) == (str(bay_id), "bay")
    content = target["attachments"][0]["content"]
    wanted = {
        "status": "DELETE_IN_PROGRESS",
        "status_reason": "Why not.",
        "project_id": "p",
        "keypair": "key",
        "docker_volume_size:": 7,
        "labels": {"a": "b"},
        "flavor_id": "m1",
        "master_flavor_id": "m2",
        "create_timeout": 60,
        "discovery_url": "https://etcd.example.org/1",
        "node_addresses": [],
        "node_count": 1,
        "master_count": 1,
    }
    assert {key: content[key] for key in wanted} == wanted
    assert "AAAA" not in row.body
    assert "hush" not in row.body


async def test_a_change_that_is_refused_or_rolled_back_is_not_told(world: World) -> None:
    api = world.engine()
    bay_id = await world.bay(api)
    with pytest.raises(IllegalTransition):
        await world.move(api, bay_id, BayEvent.UPDATED)
    async with api.connect() as conn:
        await bays.apply_event(conn, bay_id, BayEvent.DELETE_ASKED)
        await conn.rollback()
    assert await world.told() == [("create", "pending", "owner")]


async def test_the_initiator_is_who_asked(world: World) -> None:
    api, provisioner = world.engine("api"), world.engine("provisioner")
    bay_id = await world.bay(api)
    await world.move(provisioner, bay_id, BayEvent.CREATED)
    await world.move(api, bay_id, BayEvent.UPDATE_ASKED, requested_by="admin")
    resize = await _enqueue(api, bay_id, "admin")
    await world.move(provisioner, bay_id, BayEvent.UPDATED, operation_id=resize)
    assert await world.told() == [
        ("create", "pending", "owner"),
        ("create", "success", "owner"),
        ("update", "pending", "admin"),
        ("update", "success", "admin"),
    ]


async def test_a_request_that_queued_is_told_as_asked_for_once(world: World) -> None:
    """Its turn moves the bay again, but nobody has asked anew."""
    api, provisioner = world.engine("api"), world.engine("provisioner")
    bay_id = await world.bay(api)
    await world.move(provisioner, bay_id, BayEvent.CREATED)
    async with api.begin() as conn:
        await bays.apply_event(conn, bay_id, BayEvent.UPDATE_ASKED, requested_by="admin")
        queued = await operations.enqueue(conn, bay_id=bay_id, **_resize("admin"))
    await world.move(provisioner, bay_id, BayEvent.UPDATE_ASKED, operation_id=queued)
    assert (await world.told())[2:] == [("update", "pending", "admin")]


async def test_a_request_that_moved_nothing_when_asked_is_told_when_its_turn_comes(world: World) -> None:
    api, provisioner = world.engine("api"), world.engine("provisioner")
    bay_id = await world.bay(api)
    await world.move(provisioner, bay_id, BayEvent.CREATED)
    queued = await _enqueue(api, bay_id, "admin")
    await world.move(provisioner, bay_id, BayEvent.UPDATE_ASKED, operation_id=queued)
    assert (await world.told())[2:] == [("update", "pending", "admin")]


async def test_notifications_are_not_among_the_services_messages(world: World) -> None:
    api = world.engine()
    bay_id = await world.bay(api)
    await _enqueue(api, bay_id, "owner", OperationKind.CREATE)
    async with api.begin() as conn:
        assert [row.name for row in await outbox.take(conn, "api", 100)] == ["bay.create.requested"]
        assert [row.name for row in await outbox.take(conn, "api.notifications", 100)] == ["magnum.cluster.create"]


async def test_the_last_word_of_a_bay_outlives_it(world: World) -> None:
    api, provisioner = world.engine("api"), world.engine("provisioner")
    bay_id = await world.bay(api)
    await world.move(api, bay_id, BayEvent.DELETE_ASKED)
    async with provisioner.begin() as conn:
        bay: Bay | None = await bays.lock(conn, bay_id)
        assert bay is not None
        await bays.apply_event(conn, bay_id, BayEvent.DELETED)
        await bays.bury(conn, bay)
    assert (await world.told())[-1] == ("delete", "success", "owner")


def _resize(user: str, kind: OperationKind = OperationKind.RESIZE) -> dict[str, Any]:
    return {"kind": kind, "request": {"node_count": 2}, "requested_by": user, "timeout_minutes": 60}


async def _enqueue(engine: AsyncEngine, bay_id: UUID, user: str, kind: OperationKind = OperationKind.RESIZE) -> UUID:
    async with engine.begin() as conn:
        return await operations.enqueue(conn, bay_id=bay_id, **_resize(user, kind))
