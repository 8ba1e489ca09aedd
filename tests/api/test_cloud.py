"""What the gateway asks of the cloud, and what it does when the cloud says no, rubbish, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.api.usecases import checks
from shared.domain.errors import InvalidInput
from shared.runtime.sealing import unseal
from tests.api.harness import MODEL, System, detail, unique
from tests.openstack.conftest import MakeCloud, make_cloud, wire  # noqa: F401 - fixtures
from tests.openstack.wire import Say, Seen, Wire

NAMED: dict[str, object] = {"name": "demo", "domain": {"id": "default"}}


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


# what the cloud must have

BALANCED: dict[str, Any] = {
    "coe": "mesos",
    "image_id": "ubuntu-mesos",
    "network_driver": "docker",
    "docker_volume_size": None,
    "master_lb_enabled": True,
}


def test_a_zone_that_nova_does_not_show(system: System) -> None:
    model = system.baymodel(labels={"availability_zone": "mars"})["uuid"]
    answer = system.call("POST", "/v1/bays", {"baymodel_id": model})
    assert answer.status_code == 400
    assert detail(answer) == (
        "The requested availability zone is not available. Label availability_zone is 'mars', and Nova shows nova."
    )
    assert system.bay(labels={"availability_zone": "nova"})["uuid"]


def test_a_load_balancer_where_the_cloud_makes_none(system: System) -> None:
    body = {"baymodel_id": system.baymodel(**BALANCED)["uuid"], "master_count": 3}
    assert system.call("POST", "/v1/bays?dry_run=true", body).status_code == 200
    system.control("PATCH", "/settings", {"without": ["load-balancer"]})
    try:
        identity = {"methods": ["password"], "password": {"user": {**NAMED, "password": "demo"}}}
        headers = {"X-Auth-Token": system.login(identity, "demo")}
        answer = system.call("POST", "/v1/bays", body, user=None, headers=headers)
    finally:
        system.control("PATCH", "/settings", {"without": []})
    assert answer.status_code == 400
    assert detail(answer) == ("master_lb_enabled cannot be true: this cloud has no load balancer service (Octavia).")


def test_quotas_of_groups_and_of_load_balancers(system: System) -> None:
    body = {"baymodel_id": system.baymodel(user="alt", **BALANCED)["uuid"], "master_count": 3}
    admin, project = {"X-Auth-Token": system.token("admin")}, project_of(system, "alt")
    groups = f"{system.cloud_url}/compute/v2.1/os-quota-sets/{project}"
    balancers = f"{system.cloud_url}/load-balancer/v2.0/lbaas/quotas/{project}"
    limits = {"server_groups": 0, "server_group_members": 2}
    httpx.put(groups, json={"quota_set": limits}, headers=admin).raise_for_status()
    httpx.put(balancers, json={"quota": {"loadbalancer": 0}}, headers=admin).raise_for_status()
    try:
        answer = system.call("POST", "/v1/bays", body, user="alt")
    finally:
        httpx.delete(groups, headers=admin).raise_for_status()
        httpx.delete(balancers, headers=admin).raise_for_status()
    assert answer.status_code == 403
    assert detail(answer) == (
        "Resource limit exceeded: 1 server group needed, 0 left of 0; 3 servers in one server group needed, "
        "2 left of 2; 1 load balancer needed, 0 left of 0."
    )
    assert system.call("POST", "/v1/bays", body, user="alt").status_code == 201


def project_of(system: System, user: str) -> str:
    shown = httpx.get(
        f"{system.cloud_url}/identity/v3/auth/tokens",
        headers={"X-Auth-Token": system.token(user), "X-Subject-Token": system.token(user)},
    )
    return str(shown.json()["token"]["project"]["id"])


async def looked_up(cloud: Wire, make: MakeCloud, flavor: str = "f", **wishes: Any) -> checks.Found:
    """What `checks` makes of a cloud with an image that does not say what it is, and of a flavor without a disk."""

    def say(seen: Seen) -> Say:
        if "/images/" in seen.path:
            distro = {"os_distro": "fedora-atomic"} if seen.path.endswith("/told") else {}
            return Say(body={"id": "i", "name": "i", "status": "active", "min_disk": 0, "min_ram": 0, **distro})
        if "/flavors/" in seen.path:
            return Say(body={"flavor": {"id": "f", "name": "f", "vcpus": 1, "ram": 1024, "disk": 0}})
        return Say(404, {"message": "no"})

    cloud.script = say
    wanted = checks.Wishes(**{"image": "told", "flavor": flavor, **wishes})
    return await checks.look_up(make(cloud.url).for_project("p1"), wanted)


async def test_image_without_distro_is_told_which_there_are(wire: Wire, make_cloud: MakeCloud) -> None:  # noqa: F811
    with pytest.raises(InvalidInput) as caught:
        await looked_up(wire, make_cloud, image="untold", boots_from_volume=True)
    assert caught.value.field == "image_id"
    assert caught.value.message.startswith("Image untold doesn't contain os_distro field. It chooses the driver;")
    assert "fedora-atomic" in caught.value.message


async def test_flavor_without_disk_needs_a_volume_to_boot_from(wire: Wire, make_cloud: MakeCloud) -> None:  # noqa: F811
    with pytest.raises(InvalidInput, match="not supported when boot_volume_size is zero"):
        await looked_up(wire, make_cloud)
    found = await looked_up(wire, make_cloud, boots_from_volume=True)
    assert found.flavor is not None


@pytest.mark.parametrize(("labels", "boots"), [({}, False), ({"boot_volume_size": "0"}, False), (None, True)])
def test_which_labels_make_servers_boot_from_volumes(labels: dict[str, str] | None, boots: bool) -> None:
    assert checks.boots_from_volume({"boot_volume_size": "20"} if labels is None else labels) is boots


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
