"""PATCH /v1/credentials/{cluster}: who may, what is made with whose token, and what is left when it goes wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from services.api.usecases.credentials import _roles
from shared.db.engine import make_engine
from shared.db.repositories import stacks
from shared.domain.errors import Conflict
from shared.runtime.sealing import unseal
from tests.api.harness import System, detail, unique
from tests.support.database import as_role

TOO_MANY: Final = "Too many credentials of this cluster were begun and not finished. Ask again in some minutes."
NONE_THERE: Final = "The nodes of this cluster do not use the cloud, so there is no credential to rotate."
FIRST: Final = "create"


@pytest.fixture
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's whose nodes use the cloud; it is being created as long as nobody provisions it."""
    return system.bay(baymodel_id=system.baymodel(volume_driver="cinder")["uuid"])


def rotate(system: System, bay: dict[str, Any], token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"X-Auth-Token": token}
    user = "demo" if token is None else None
    return system.call("PATCH", f"/v1/credentials/{bay['uuid']}", user=user, headers=headers, version="12")


async def generations(system: System, bay: dict[str, Any]) -> list[Any]:
    query = "SELECT * FROM cloud_credentials WHERE bay_id = $1::uuid ORDER BY generation"
    return await system.sql(query, bay["uuid"])


async def asked(system: System, bay: dict[str, Any]) -> list[tuple[str, str | None]]:
    query = "SELECT kind, request->>'credential_generation' AS it FROM operations WHERE bay_id = $1::uuid ORDER BY seq"
    return [(row["kind"], row["it"]) for row in await system.sql(query, bay["uuid"])]


def in_keystone(system: System, bay: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The bay's application credentials by name."""
    records = system.control("GET", "/state?kind=application_credential").get("records", {})
    found = records.get("application_credential", [])
    return {one["name"]: one for one in found if bay["uuid"] in one["name"]}


async def test_the_next_generation_is_made_sealed_and_queued(system: System, bay: dict[str, Any]) -> None:
    answer = rotate(system, bay)
    assert (answer.status_code, answer.json()) == (202, {"uuid": bay["uuid"]})
    first, second = await generations(system, bay)
    assert (second["generation"], second["name"]) == (2, f"jeroboam-{bay['uuid']}-2")
    assert second["credential_id"] not in (None, first["credential_id"])
    assert set(in_keystone(system, bay)) == {first["name"], second["name"]}
    assert await asked(system, bay) == [(FIRST, None), ("rotate_credentials", "2")]
    secret = unseal(system.private_key, second["sealed"], second["name"].encode()).decode()
    credential = {"id": second["credential_id"], "secret": secret}
    token = system.login({"methods": ["application_credential"], "application_credential": credential})
    # as the first one: good for what nodes do, and for nothing here
    assert system.call("GET", "/v1/bays", user=None, headers={"X-Auth-Token": token}).status_code == 401
    assert secret not in (system.home / "api.log").read_text()


async def test_whoever_rotates_owns_the_credential(system: System, bay: dict[str, Any]) -> None:
    token = other_member(system)
    assert rotate(system, bay, token).status_code == 202
    first, second = await generations(system, bay)
    assert first["user_id"] != second["user_id"]
    shown = {"X-Auth-Token": token, "X-Subject-Token": token}
    me = httpx.get(f"{system.cloud_url}/identity/v3/auth/tokens", headers=shown).json()["token"]["user"]["id"]
    assert second["user_id"] == me


def other_member(system: System) -> str:
    """A token of another user in demo's project."""
    admin = {"X-Auth-Token": system.token("admin")}
    identity = f"{system.cloud_url}/identity/v3"
    users = httpx.get(f"{identity}/users", headers=admin).json()["users"]
    projects = httpx.get(f"{identity}/projects", headers=admin).json()["projects"]
    roles = httpx.get(f"{identity}/roles", headers=admin).json()["roles"]
    ids = [next(one["id"] for one in found if one["name"] == name) for found, name in
           ((projects, "demo"), (users, "alt"), (roles, "member"))]  # fmt: skip
    httpx.put("{}/projects/{}/users/{}/roles/{}".format(identity, *ids), headers=admin).raise_for_status()
    domain = {"domain": {"id": "default"}}
    login = {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": "alt", "password": "alt", **domain}},
        },
        "scope": {"project": {"name": "demo", **domain}},
    }
    answer = httpx.post(f"{identity}/auth/tokens", json={"auth": login})
    answer.raise_for_status()
    return str(answer.headers["X-Subject-Token"])


async def test_a_token_that_may_not_make_one_is_told(system: System, bay: dict[str, Any]) -> None:
    (first,) = await generations(system, bay)
    made = httpx.post(
        f"{system.cloud_url}/identity/v3/users/{first['user_id']}/application_credentials",
        json={"application_credential": {"name": unique("mine")}},
        headers={"X-Auth-Token": system.token("demo")},
    ).json()["application_credential"]
    credential = {"id": made["id"], "secret": made["secret"]}
    token = system.login({"methods": ["application_credential"], "application_credential": credential})
    answer = rotate(system, bay, token)
    assert answer.status_code == 400
    assert "which your token may not make" in detail(answer)
    assert "baymodel" not in detail(answer)
    assert await asked(system, bay) == [(FIRST, None)]
    assert await generations(system, bay) == [first]  # surely nothing was made, so nothing is to be swept
    assert rotate(system, bay).status_code == 202
    assert (await asked(system, bay))[1:] == [("rotate_credentials", "2")]


async def test_who_begins_too_many_waits(system: System, bay: dict[str, Any]) -> None:
    query = "INSERT INTO cloud_credentials (bay_id, generation, name, user_id) SELECT $1::uuid, n, $2 || n, 'u' FROM generate_series(2, 11) n"  # noqa: E501
    await system.sql(query, bay["uuid"], unique("begun"))
    answer = rotate(system, bay)
    assert (answer.status_code, detail(answer)) == (409, TOO_MANY)
    assert len(await generations(system, bay)) == 11


def test_nodes_without_a_credential(system: System) -> None:
    answer = rotate(system, system.bay())
    assert (answer.status_code, detail(answer)) == (400, NONE_THERE)


def test_nodes_without_certificates(system: System) -> None:
    model = system.baymodel(volume_driver="cinder", tls_disabled=True)
    answer = rotate(system, system.bay(baymodel_id=model["uuid"]))
    assert answer.status_code == 400
    assert detail(answer).startswith("The nodes of a cluster without TLS have no certificate")


@pytest.mark.parametrize("status", ["CREATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_FAILED"])
async def test_a_state_that_does_not_take_it(system: System, bay: dict[str, Any], status: str) -> None:
    await system.sql("UPDATE bays SET status = $2 WHERE id = $1::uuid", bay["uuid"], status)
    answer = rotate(system, bay)
    assert answer.status_code == 400
    assert detail(answer) == f'Rotating the credential of a cluster when status is "{status}" is not supported.'
    assert len(await generations(system, bay)) == 1


async def test_a_keystone_that_fails_leaves_an_intent_and_the_next_try_succeeds(
    system: System, bay: dict[str, Any]
) -> None:
    fault = {"kind": "status", "status": 500, "service": "identity", "path": ".*application_credentials.*"}
    system.control("POST", "/faults", fault)
    try:
        answer = rotate(system, bay)
    finally:
        system.control("DELETE", "/faults")
    assert answer.status_code == 503
    assert detail(answer).startswith("Keystone")
    assert [row["credential_id"] is None for row in await generations(system, bay)] == [False, True]
    assert await asked(system, bay) == [(FIRST, None)]
    assert rotate(system, bay).status_code == 202
    assert (await asked(system, bay))[1:] == [("rotate_credentials", "3")]


async def test_several_at_once_get_generations_of_their_own(system: System, bay: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(asyncio.to_thread(rotate, system, bay) for _ in range(4)))
    # One that was overtaken by a later one is refused, and what was made for it is taken back.
    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted = [int(one) for _, one in (await asked(system, bay))[1:] if one]
    assert accepted == sorted(set(accepted))
    assert accepted[-1] == 5
    assert len(accepted) == sum(answer.status_code == 202 for answer in answers)
    assert len(in_keystone(system, bay)) == 1 + len(accepted)


async def test_what_was_made_for_a_request_that_is_refused_is_taken_back(system: System, bay: dict[str, Any]) -> None:
    while (answer := rotate(system, bay)).status_code == 202:
        pass
    assert answer.status_code == 409
    assert "waiting already" in detail(answer)
    rows = await generations(system, bay)
    assert [row["credential_id"] is None for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[-1]["name"] not in in_keystone(system, bay)


async def test_an_intent_that_is_too_old_is_not_accepted(system: System, bay: dict[str, Any]) -> None:
    """The sweep may be revoking at this moment what was made for it."""
    query = "INSERT INTO cloud_credentials (bay_id, generation, name, user_id, created_at) VALUES ($1::uuid, $2, $3, 'u', now() - $4::interval)"  # noqa: E501
    (first,) = await generations(system, bay)
    await system.sql(query, bay["uuid"], 7, unique("late"), stacks.INTENT_LIVES + timedelta(seconds=1))
    await system.sql(query, bay["uuid"], 8, unique("young"), timedelta())
    await system.sql(query, bay["uuid"], 6, unique("overtaken"), timedelta())
    engine = make_engine(as_role(system.dsn, "jb_api"), pool_size=1)
    try:
        async with engine.begin() as conn:
            given = {"bay_id": first["bay_id"], "credential_id": "c", "sealed": b"s"}
            with pytest.raises(Conflict, match="took too long"):
                await stacks.keep_credential(conn, generation=7, **given)
            await stacks.keep_credential(conn, generation=8, **given)
            with pytest.raises(Conflict):  # its rotation would come after that of the eighth, and revoke nothing
                await stacks.keep_credential(conn, generation=6, **given)
    finally:
        await engine.dispose()
    orphans = make_engine(as_role(system.dsn, "jb_provisioner"), pool_size=1)
    try:
        async with orphans.connect() as conn:
            found = await stacks.orphan_credentials(conn, older_than=60)
            assert {one.generation for one in found if one.bay_id == first["bay_id"]} == {7}
            newest = await stacks.credential_of(conn, first["bay_id"])
    finally:
        await orphans.dispose()
    assert newest is not None
    assert newest.generation == 8


@pytest.mark.parametrize(
    ("has", "gets"),
    [
        ("admin member reader", "member"),
        ("admin load-balancer_member member", "load-balancer_member member"),
        ("admin creator load-balancer_member", "creator load-balancer_member"),
        ("admin", "admin"),
    ],
)
def test_as_few_roles_as_nodes_need(has: str, gets: str) -> None:
    assert _roles(frozenset(has.split())) == gets.split()
