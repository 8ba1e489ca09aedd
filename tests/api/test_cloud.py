"""What the gateway asks of the cloud, and what it does when the cloud says no, rubbish, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.runtime.sealing import unseal
from tests.api.harness import MODEL, System, detail, unique


@pytest.fixture(autouse=True)
def no_faults_left(system: System) -> Iterator[None]:
    yield
    system.control("DELETE", "/faults")


def fault(system: System, **rule: object) -> None:
    system.control("POST", "/faults", {"count": 0, **rule})


@pytest.mark.parametrize(
    ("service", "path", "name"),
    [("image", ".*images.*", "Glance"), ("compute", ".*keypairs.*", "Nova"), ("network", ".*networks.*", "Neutron")],
)
@pytest.mark.parametrize("kind", [{"kind": "status", "status": 500}, {"kind": "drop"}, {"kind": "rubbish"}])
async def test_service_that_fails_is_503_and_named(
    system: System, service: str, path: str, name: str, kind: dict[str, Any]
) -> None:
    model = system.baymodel()["uuid"]
    fault(system, service=service, path=path, **kind)
    bay = unique("bay")
    answer = system.call("POST", "/v1/bays", {"name": bay, "baymodel_id": model})
    assert answer.status_code == 503
    assert detail(answer).startswith(name)
    assert answer.json()["errors"][0]["code"] == "server"
    assert int(answer.headers["Retry-After"]) > 0
    assert await system.sql("SELECT 1 FROM bays WHERE name = $1", bay) == []
    system.control("DELETE", "/faults")
    assert system.call("POST", "/v1/bays", {"name": bay, "baymodel_id": model}).status_code == 201


def test_callers_own_mistake_is_told_before_a_service_that_fails(system: System) -> None:
    fault(system, kind="status", status=500, service="network")
    answer = system.call("POST", "/v1/baymodels", {**MODEL, "image_id": "nope"})
    assert answer.status_code == 400
    assert detail(answer) == "Image nope could not be found."


def test_keystone_that_fails_is_503_never_401(system: System) -> None:
    fault(system, kind="status", status=500, service="identity")
    answer = system.call("GET", "/v1/bays", user=None, headers={"X-Auth-Token": unique("token")})
    assert answer.status_code == 503
    assert detail(answer) == "Keystone cannot validate tokens now."
    assert system.call("GET", "/v1/bays").status_code == 200  # known already


# the nodes' own credential


def cinder_model(system: System) -> str:
    return str(system.baymodel(volume_driver="cinder")["uuid"])


async def test_nodes_that_use_the_cloud_get_a_sealed_restricted_credential(system: System) -> None:
    bay = system.bay(baymodel_id=cinder_model(system))
    (row,) = await system.sql("SELECT * FROM cloud_credentials WHERE bay_id = $1::uuid", bay["uuid"])
    assert row["name"] == f"jeroboam-{bay['uuid']}-1"
    secret = unseal(system.private_key, row["sealed"], row["name"].encode()).decode()
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": row["credential_id"], "secret": secret},
    }
    token = system.login(identity)
    # it is good for what nodes do, and for nothing here
    assert system.call("GET", "/v1/bays", user=None, headers={"X-Auth-Token": token}).status_code == 401
    assert secret not in (system.home / "api.log").read_text()


async def test_bay_without_cinder_gets_none(system: System) -> None:
    bay = system.bay()
    assert await system.sql("SELECT 1 FROM cloud_credentials WHERE bay_id = $1::uuid", bay["uuid"]) == []


async def test_token_that_may_not_make_one_is_told_what_to_do(system: System) -> None:
    user = (await system.sql("SELECT user_id FROM bays WHERE id = $1::uuid", system.bay()["uuid"]))[0]["user_id"]
    made = httpx.post(
        f"{system.cloud_url}/identity/v3/users/{user}/application_credentials",
        json={"application_credential": {"name": unique("mine")}},
        headers={"X-Auth-Token": system.token("demo")},
    ).json()["application_credential"]
    token = system.login(
        {
            "methods": ["application_credential"],
            "application_credential": {"id": made["id"], "secret": made["secret"]},
        }
    )
    headers = {"X-Auth-Token": token}
    answer = system.call("POST", "/v1/bays", {"baymodel_id": cinder_model(system)}, user=None, headers=headers)
    assert answer.status_code == 400
    assert "Log in with a password" in detail(answer)
    plain = system.call("POST", "/v1/bays", {"baymodel_id": system.baymodel()["uuid"]}, user=None, headers=headers)
    assert plain.status_code == 201


async def test_keystone_that_fails_at_the_credential_leaves_an_intent_and_no_bay(system: System) -> None:
    model = cinder_model(system)
    before = await system.sql("SELECT bay_id FROM cloud_credentials")
    fault(system, kind="status", status=500, service="identity", path=".*application_credentials.*")
    bay = unique("bay")
    answer = system.call("POST", "/v1/bays", {"name": bay, "baymodel_id": model})
    assert answer.status_code == 503
    assert detail(answer).startswith("Keystone")
    assert await system.sql("SELECT 1 FROM bays WHERE name = $1", bay) == []
    after = await system.sql("SELECT bay_id FROM cloud_credentials")
    assert len(after) == len(before) + 1


async def test_many_at_once(system: System) -> None:
    model = system.baymodel()["uuid"]
    answers = await asyncio.gather(
        *(asyncio.to_thread(system.call, "POST", "/v1/bays", {"baymodel_id": model}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["uuid"] for answer in answers}) == 20
