"""What ends soon: told once, said of the bay as long as it is so, counted; and no leaf outlives its authority."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509

from services.certs.expiry import ExpiryWatch
from shared.db.repositories import authorities, bays
from shared.db.repositories.expiry import KEY
from shared.drivers import registry
from shared.drivers.contract import Driver
from shared.runtime.telemetry import REGISTRY
from tests.certs.process import running_certs
from tests.certs.requests import csr
from tests.certs.world import World, new_bay

MONTH, YEAR = timedelta(days=30), timedelta(days=365)


@pytest.fixture
async def bay(world: World) -> World:
    """A bay whose authorities end in years."""
    await world.make_authorities()
    await world.rows("DELETE FROM outbox")
    return world


def watch(world: World, drivers: Callable[[str], Driver] = registry.by_name) -> ExpiryWatch:
    return ExpiryWatch(world.engine, MONTH, YEAR, drivers=drivers)


async def let_end(world: World, days: float, generation: int = 1, kind: str = "%") -> datetime:
    """Its authorities end in so many days; when exactly."""
    ends = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    await world.rows(
        f"UPDATE authorities SET not_after = '{ends.isoformat()}' WHERE bay_id = '{world.bay_id}' "
        f"AND generation = {generation} AND kind LIKE '{kind}'"
    )
    return ends


async def health(world: World) -> tuple[object, dict[str, str]]:
    ((status, reason),) = await world.rows(
        f"SELECT health_status, health_status_reason FROM bays WHERE id = '{world.bay_id}'"
    )
    assert isinstance(reason, dict)
    return status, reason


async def told(world: World) -> list[dict[str, object]]:
    rows = await world.rows("SELECT service, name, body FROM outbox ORDER BY seq")
    assert {row[:2] for row in rows} <= {("certs", "bay.authorities.expiring")}
    return [json.loads(str(row[2])) for row in rows]


async def next_generation(world: World) -> None:
    """What a rotation makes: authorities that end in years, and keys for them."""
    await world.rows(
        "INSERT INTO authorities (id, bay_id, kind, generation, certificate, not_after) "
        "SELECT gen_random_uuid(), bay_id, kind, 2, certificate, now() + interval '5 years' FROM authorities"
    )


async def test_nothing_is_told_of_what_lasts(bay: World) -> None:
    await let_end(bay, 31)
    figures = await watch(bay).look()

    assert (await told(bay), await health(bay)) == ([], (None, {}))
    assert (figures.soon, figures.ended) == (0, 0)
    assert figures.first_end_seconds == pytest.approx(31 * 86400, abs=120)


async def test_it_is_told_once_and_said_until_it_is_over(bay: World) -> None:
    await bay.rows("""UPDATE bays SET health_status = 'HEALTHY', health_status_reason = '{"api": "ok"}'""")
    ends = await let_end(bay, 29)
    for _ in range(2):
        await watch(bay).look()

    (message,) = await told(bay)
    assert (message["bay_id"], message["generation"]) == (str(bay.bay_id), 1)
    assert datetime.fromisoformat(str(message["not_after"])) == ends
    sentence = (
        f"The bay's certificate authorities end on {ends:%Y-%m-%d}, and with them every certificate. "
        f"Rotate them before: openstack coe ca rotate {bay.bay_id}"
    )
    assert await health(bay) == ("HEALTHY", {"api": "ok", KEY: sentence})

    await next_generation(bay)  # both are trusted while the rotation goes on
    await watch(bay).look()
    assert KEY in (await health(bay))[1]
    async with bay.engine.begin() as conn:
        await authorities.retire(conn, bay.bay_id, 1)
    await watch(bay).look()
    assert await health(bay) == ("HEALTHY", {"api": "ok"})
    assert len(await told(bay)) == 1


async def test_the_next_generation_is_told_of_anew(bay: World) -> None:
    await let_end(bay, 29)
    await watch(bay).look()
    await next_generation(bay)
    async with bay.engine.begin() as conn:
        await authorities.retire(conn, bay.bay_id, 1)
    await let_end(bay, 3, generation=2)
    await watch(bay).look()

    assert [one["generation"] for one in await told(bay)] == [1, 2]


async def test_one_authority_that_ends_earlier_counts_for_its_generation(bay: World) -> None:
    ends = await let_end(bay, 10, kind="etcd")
    for _ in range(2):
        await watch(bay).look()

    (message,) = await told(bay)
    assert datetime.fromisoformat(str(message["not_after"])) == ends
    assert await bay.column("SELECT count(*) FROM authorities WHERE warned_at IS NULL") == [0]


async def test_a_sentence_that_somebody_overwrote_comes_back(bay: World) -> None:
    await let_end(bay, 29)
    await watch(bay).look()
    await bay.rows("UPDATE bays SET health_status_reason = '{}'")
    await watch(bay).look()

    assert KEY in (await health(bay))[1]
    assert len(await told(bay)) == 1


async def test_nothing_is_written_when_nothing_changes(bay: World) -> None:
    await let_end(bay, 29)
    await watch(bay).look()
    before = await bay.column("SELECT xmin::text FROM bays")
    await watch(bay).look()

    assert await bay.column("SELECT xmin::text FROM bays") == before


@pytest.mark.parametrize(
    ("driver", "spec", "days", "words"),
    [
        ("k8s_ubuntu", {}, 29, "Rotate them before"),
        ("k8s_ubuntu", {"tls_disabled": True}, 29, "cannot be rotated in a bay of this kind"),
        ("mesos_ubuntu", {}, 29, "cannot be rotated in a bay of this kind"),
        ("gone_with_a_release", {}, 29, "cannot be rotated in a bay of this kind"),
        ("k8s_ubuntu", {}, -1, "ended on"),
    ],
)
async def test_what_to_do_depends_on_the_bay(bay: World, driver: str, spec: object, days: int, words: str) -> None:
    await bay.rows(f"UPDATE bays SET driver = '{driver}', spec = '{json.dumps(spec)}'")
    await let_end(bay, days)
    await watch(bay).look()

    assert words in (await health(bay))[1][KEY]


async def test_a_bay_that_is_being_deleted_is_left_alone(bay: World) -> None:
    await let_end(bay, 29)
    await bay.rows("UPDATE bays SET wanted = 'gone'")
    await watch(bay).look()

    assert (await told(bay), (await health(bay))[1]) == ([], {})


async def test_many_bays_in_batches_and_two_replicas_at_once(bay: World) -> None:
    """More than two batches; a bay that somebody holds is told of the next time."""
    ids = [bay.bay_id, await new_bay(bay.dsn, "held")]
    await bay.rows(
        "INSERT INTO bays "
        "(id, baymodel_id, driver, status, stack_name, node_count, master_count, project_id, user_id, name) "
        "SELECT gen_random_uuid(), baymodel_id, driver, status, stack_name || n, 1, 1, project_id, user_id, name || n "
        f"FROM bays, generate_series(1, 230) n WHERE id = '{bay.bay_id}'"
    )
    await bay.rows(
        "INSERT INTO authorities (id, bay_id, kind, generation, certificate, not_after) "
        "SELECT gen_random_uuid(), b.id, k, 1, 'PEM', now() + interval '5 days' "
        "FROM bays b, unnest(ARRAY['kubernetes', 'etcd', 'front_proxy']) k ON CONFLICT DO NOTHING"
    )
    await let_end(bay, 5)

    async with bay.engine.connect() as holder:
        assert await bays.lock(holder, ids[1]) is not None  # as an operation's step does
        await asyncio.gather(watch(bay).look(), watch(bay).look())
        first = {str(one["bay_id"]) for one in await told(bay)}
        await holder.rollback()
    await asyncio.gather(watch(bay).look(), watch(bay).look())

    everybody = [str(one["bay_id"]) for one in await told(bay)]
    assert str(ids[1]) not in first
    assert len(everybody) == len(set(everybody)) == 232
    assert await bay.column(f"SELECT count(*) FROM bays WHERE health_status_reason ? '{KEY}'") == [232]
    await bay.rows("UPDATE authorities SET not_after = now() + interval '5 years'")
    await watch(bay).look()
    assert await bay.column(f"SELECT count(*) FROM bays WHERE health_status_reason ? '{KEY}'") == [0]


async def test_the_metrics_count_authorities_and_nodes(bay: World) -> None:
    await let_end(bay, 29)
    await let_end(bay, -1, kind="etcd")
    servers = {"renewed": (10, 100), "late": (10,), "over": (-2,), "young": (200,), "long over": (-100,)}
    for server, ends in servers.items():
        await bay.rows(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
            f"VALUES ('{bay.bay_id}', '{server}', 'worker', {len(server)}, 'n', '', '')"
        )
        for age, days in enumerate(reversed(ends)):
            await leaf(bay, f"node:{server}", days, age)
    await leaf(bay, "node:left", 10, 0)

    figures = await watch(bay).look()

    assert (figures.soon, figures.ended, figures.nodes_soon, figures.nodes_ended) == (2, 1, 1, 1)
    assert sample("jeroboam_authorities_ending", state="soon") == 2
    assert sample("jeroboam_authorities_ending", state="ended") == 1
    assert sample("jeroboam_node_certificates_ending", state="soon") == 1
    assert sample("jeroboam_node_certificates_ending", state="ended") == 1
    assert sample("jeroboam_earliest_authority_end_seconds") == pytest.approx(-86400, abs=120)


async def leaf(world: World, requester: str, days: int, age: int) -> None:
    """An issued certificate of a node."""
    await world.rows(
        "INSERT INTO certificates (id, bay_id, authority_id, serial, subject, profile, requester, state, not_before, "
        "not_after, created_at) "
        f"SELECT gen_random_uuid(), bay_id, id, '{uuid4().hex}', '', 'node:node', '{requester}', "
        f"'issued', now() - interval '99 days', now() + interval '{days} days', now() - interval '{age} days' "
        "FROM authorities WHERE kind = 'kubernetes'"
    )


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_no_bays_at_all(world: World) -> None:
    figures = await watch(world).look()

    assert figures.first_end_seconds is None
    assert sample("jeroboam_earliest_authority_end_seconds") == float("inf")


@pytest.mark.parametrize("seconds", [3600, 90])
async def test_a_leaf_never_outlives_its_authority(bay: World, seconds: int) -> None:
    """Also not in the last hour: it is cut to the authority's end, and its node renews it by that."""
    ends = await let_end(bay, seconds / 86400)
    request = await bay.ask(csr())
    await bay.signer().decide(request)

    signed = x509.load_pem_x509_certificate((await bay.signed(request)).encode())
    assert signed.not_valid_after_utc == ends


async def test_an_authority_that_has_ended_signs_nothing(bay: World) -> None:
    await let_end(bay, -0.01)
    request = await bay.ask(csr())
    await bay.signer().decide(request)

    outcome = await bay.outcome(request)
    assert outcome.state == "refused"
    assert "no kubernetes certificate authority that can sign" in (outcome.reason or "")


async def test_it_is_found_by_an_index(bay: World) -> None:
    """At 10,000 bays that end in years, the hourly look does not read them."""
    await bay.rows(
        "INSERT INTO authorities (id, bay_id, kind, generation, certificate, not_after) SELECT gen_random_uuid(), "
        f"'{bay.bay_id}', 'etcd', n, 'PEM', now() + interval '4 years' FROM generate_series(10, 5000) n"
    )
    await bay.rows("ANALYZE authorities")
    plan = await bay.column(
        "EXPLAIN SELECT DISTINCT bay_id FROM authorities WHERE retired_at IS NULL AND kind IN ('kubernetes', 'etcd') "
        "AND not_after < now() + interval '30 days' ORDER BY bay_id LIMIT 100"
    )
    assert any("authorities_ending" in str(line) for line in plan), plan


async def test_the_service_looks_when_it_starts(bay: World, tmp_path: Path) -> None:
    await let_end(bay, 29)

    async with running_certs(bay, tmp_path), asyncio.timeout(30):
        while KEY not in (await health(bay))[1]:
            await asyncio.sleep(0.1)
