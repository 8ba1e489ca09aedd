"""Counts of clusters and nodes (contract §1.17)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.harness import System, detail
from tests.api.test_quotas import project


def stats(system: System, query: str = "", user: str = "demo") -> dict[str, int]:
    answer = system.call("GET", f"/v1/stats{query}", user=user)
    assert answer.status_code == 200, answer.text
    found: dict[str, int] = answer.json()
    assert list(found) == ["clusters", "nodes"]
    return found


@pytest.fixture
async def bay(system: System) -> AsyncIterator[str]:
    """A bay of three workers and one master, gone at the end as if its delete were over."""
    made = system.bay(node_count=3)["uuid"]
    yield made
    await system.sql("DELETE FROM bays WHERE id = $1", made)


async def counted(system: System, project_id: str | None) -> dict[str, int]:
    """The truth: masters and the workers of every group, those of other tests on the same system included."""
    (row,) = await system.sql(
        "SELECT count(*), coalesce(sum(node_count + master_count + coalesce("
        "(SELECT sum(g.node_count) FROM nodegroups g WHERE g.bay_id = bays.id), 0)), 0) FROM bays "
        "WHERE project_id = $1 OR $1::text IS NULL",
        project_id,
    )
    return {"clusters": row[0], "nodes": row[1]}


async def test_masters_are_nodes_too(system: System, bay: str) -> None:
    found = stats(system)
    assert found == await counted(system, project(system, "demo"))
    await system.sql("UPDATE bays SET node_count = 5, master_count = 3 WHERE id = $1", bay)
    assert stats(system, "?type=Cluster") == {"clusters": found["clusters"], "nodes": found["nodes"] + 4}


@pytest.mark.parametrize("user", ["demo", "reader"])
async def test_who_is_no_administrator_counts_their_own(system: System, bay: str, user: str) -> None:
    own = project(system, "demo")
    assert stats(system, user=user) == stats(system, f"?project_id={own}", user) == await counted(system, own)
    refused = system.call("GET", f"/v1/stats?project_id={project(system, 'alt')}", user=user)
    assert refused.status_code == 403
    assert detail(refused) == "Not authorized."


async def test_administrators_count_anybodys_or_the_cloud(system: System, bay: str) -> None:
    own = project(system, "demo")
    assert stats(system, f"?project_id={own}&type=cluster", "admin") == await counted(system, own)
    assert stats(system, user="admin") == await counted(system, None)
    assert stats(system, "?project_id=nobody", "admin") == {"clusters": 0, "nodes": 0}


def test_bad_queries(system: System) -> None:
    for query, sentence in (
        ("type=node", "Invalid stats type. Allowed values are 'cluster'"),
        ("foo=1", 'Unknown argument: "foo"'),
    ):
        refused = system.call("GET", f"/v1/stats?{query}")
        assert refused.status_code == 400
        assert detail(refused) == sentence


def test_at_every_microversion_and_path(system: System) -> None:
    for version in (None, "1", "4", "14"):
        assert system.call("GET", "/v1/stats/", version=version).status_code == 200
    assert system.call("GET", "/stats").status_code == 200
