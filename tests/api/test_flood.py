"""A flood of bad certificate requests: all are refused, all are counted, and nobody else notices.

By count, with a budget so slow to fill up again (one in more than an hour) that no clock matters;
`benchmarks/flood.py` has the times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.api.harness import System, database, detail, running
from tests.api.test_certificates import authority_of
from tests.support.csrs import bad_ones, csr_of

BUDGET = 20
LINES = "SELECT bay_id::text, requester, detail, times FROM certificate_audit WHERE action = 'csr refused' ORDER BY seq"


class Life:
    """A gateway of its own, which can be ended to see what it wrote at last."""

    def __init__(self, home: Path) -> None:
        self._open = ExitStack()
        self._database = ExitStack()
        dsn = self._database.enter_context(database())
        settings = {"JEROBOAM_REFUSED_CSRS": str(BUDGET), "JEROBOAM_REFUSED_CSR_SECONDS": "86400"}
        self.system = self._open.enter_context(running(dsn, home, **settings))

    def end(self) -> None:
        """SIGTERM, as an operator would."""
        self._open.close()

    def close(self) -> None:
        """And the database."""
        self.end()
        self._database.close()


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    made = Life(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    made = Life(tmp_path_factory.mktemp("flood"))
    try:
        yield made.system
    finally:
        made.close()


def another_token(system: System, user: str) -> str:
    """Another token than the one that `System` keeps, of the same user."""
    named = {"name": user, "domain": {"id": "default"}}
    return system.login({"methods": ["password"], "password": {"user": {**named, "password": user}}}, user)


def user_of(rows: list[Any]) -> str:
    (user,) = {row["requester"] for row in rows}
    return str(user)


async def test_a_flood_is_refused_counted_and_does_not_hit_others(life: Life) -> None:
    system = life.system
    bay = await asyncio.to_thread(system.bay)
    await authority_of(system, bay)
    good = {"X-Auth-Token": another_token(system, "demo")}
    statuses: Counter[int] = Counter()
    kinds = list(bad_ones().items())
    for number in range(10 * BUDGET):
        _, csr = kinds[number % len(kinds)]
        answer = system.call("POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr})
        statuses[answer.status_code] += 1
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["X-OpenStack-Request-ID"].startswith("req-")
            assert "were refused" in detail(answer)
        if number % BUDGET == 0:  # the same user at the same address, with another token
            body = {"bay_uuid": bay["uuid"], "csr": csr_of()}
            asked = system.call("POST", "/v1/certificates", body, user=None, headers=good)
            assert asked.status_code == 201, asked.text
    assert statuses == {400: BUDGET, 429: 9 * BUDGET}
    assert system.call("POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr_of()}).status_code == 429
    assert (
        system.call("GET", f"/v1/certificates/{bay['uuid']}").status_code == 200
    )  # only requests to sign are held off
    assert await system.sql(LINES) == []
    life.end()
    lines = await system.sql(LINES)
    assert sum(row["times"] for row in lines) == 10 * BUDGET + 1
    assert len(lines) == len(kinds) + 1
    by_reason = {row["detail"]: (row["bay_id"], row["times"]) for row in lines}
    assert by_reason.pop("too many refused before") == (None, 9 * BUDGET + 1)
    for position, (kind, _) in enumerate(kinds):
        where = None if kind == "malformed request" else bay["uuid"]
        assert by_reason[kind] == (where, len(range(position, BUDGET, len(kinds)))), kind
    assert user_of(lines) == (await system.sql("SELECT user_id FROM bays"))[0]["user_id"]


async def test_bays_that_there_are_not_and_names(life: Life) -> None:
    system = life.system
    bay = await asyncio.to_thread(system.bay)
    bad = bad_ones()["CA:true"]
    for ident in (bay["uuid"], bay["name"], str(uuid4()), "nobody's", bay["name"], str(uuid4())):
        assert system.call("POST", "/v1/certificates", {"bay_uuid": ident, "csr": bad}).status_code == 400
    assert system.call("POST", "/v1/certificates", {"bay_uuid": "zzz", "csr": csr_of()}).status_code == 400
    assert (
        system.call("POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr_of()}, user="reader").status_code
        == 403
    )
    node = {"server_id": str(uuid4()), "secret": "s" * 64, "role": "worker", "csr": bad_ones()["weak key"]}
    for ident in (bay["uuid"], str(uuid4())):
        assert system.call("POST", f"/v1/bays/{ident}/node-certificates", node, user=None).status_code == 400
    life.end()
    lines = [(row["bay_id"], row["detail"], row["times"]) for row in await system.sql(LINES)]
    assert sorted(lines, key=str) == sorted(
        [
            (bay["uuid"], "CA:true", 3),
            (None, "CA:true", 3),
            (None, "unknown bay", 1),
            (bay["uuid"], "not allowed by the policy", 1),
            (None, "weak key", 2),  # of whom a node's unproven word does not tell
        ],
        key=str,
    )


def test_many_tokens_of_one_user_are_one_user(lasting: System) -> None:
    system = lasting
    body = {"bay_uuid": "any", "csr": bad_ones()["wildcard"]}
    tokens = [{"X-Auth-Token": another_token(system, "alt")} for _ in range(6)]
    statuses = [
        [system.call("POST", "/v1/certificates", body, user=None, headers=token).status_code for _ in range(BUDGET)]
        for token in tokens
    ]
    assert statuses == [[400] * BUDGET] * 5 + [[429] * BUDGET]  # whose the last one is tells the door alone
    answer = system.call("POST", "/v1/certificates", body, user=None, headers=tokens[5])
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["OpenStack-API-Version"]
    assert system.call("POST", "/v1/certificates", body, user="demo").status_code == 400


def test_without_a_token_the_address_is_held_off_and_nobody_who_shows_one(lasting: System) -> None:
    system = lasting
    body = {"bay_uuid": "any", "csr": bad_ones()["wildcard"]}
    statuses = [system.call("POST", "/v1/certificates", body, user=None).status_code for _ in range(BUDGET + 3)]
    assert statuses == [401] * BUDGET + [429] * 3
    for number in range(3):
        unknown = {"X-Auth-Token": f"unknown{number}"}
        assert system.call("POST", "/certificates/", body, user=None, headers=unknown).status_code == 401
    assert system.call("POST", "/v1/certificates", body).status_code == 400
