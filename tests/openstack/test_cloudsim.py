"""Tokens, checks and faults against cloudsim over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain.errors import CloudError, Conflict, Unauthorized, Unavailable
from shared.openstack.access_rules import AccessRule
from shared.openstack.errors import CircuitOpen, RoleMissing
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import caller
from tests.openstack.sim import Sim


async def test_a_thousand_first_uses_cost_one_login_and_one_validation(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    token, body = await sim.login("demo")
    await sim.forget()
    callers = await asyncio.gather(*(cloud.validator.validate(token, method="GET", path="/") for _ in range(1000)))
    assert await sim.count("identity", "POST", "/auth/tokens") == 1
    assert await sim.count("identity", "GET", "/auth/tokens") == 1
    assert {one.project_id for one in callers} == {body["project"]["id"]}
    await asyncio.gather(*(cloud.auth.token(body["project"]["id"]) for _ in range(1000)))
    assert await sim.count("identity", "POST", "/auth/tokens") == 2


async def test_the_gateways_checks_with_the_callers_token(sim: Sim, make_cloud: MakeCloud) -> None:
    who, theirs = await caller(sim, make_cloud(sim.identity))
    assert (who.user_name, who.project_name, who.user_domain_name) == ("demo", "demo", "Default")
    image = await theirs.glance.find_image("fedora-21-atomic-5")
    assert image is not None
    assert image.os_distro == "fedora-atomic"
    assert await theirs.glance.find_image(image.id) == image
    flavor = await theirs.nova.find_flavor("m1.small")
    assert flavor is not None
    assert await theirs.nova.find_flavor(flavor.id) == flavor
    keypair = await theirs.nova.keypair("testkey")
    assert keypair is not None
    assert keypair.public_key.startswith("ssh-")
    public = await theirs.neutron.find_external_network("public")
    assert public is not None
    assert await theirs.neutron.find_external_network(public.id) == public
    assert [one.name for one in await theirs.cinder.types()] == ["lvmdriver-1"]
    assert (await theirs.nova.limits())["servers"].left != 0


@pytest.mark.parametrize("ident", ["nope", "no such/thing", "..", "", "0b6ae21a-0000-4000-8000-1e5e0b3d1f7a", "ü"])
async def test_what_is_not_there_is_none(sim: Sim, make_cloud: MakeCloud, ident: str) -> None:
    _, theirs = await caller(sim, make_cloud(sim.identity))
    assert await theirs.glance.find_image(ident) is None
    assert await theirs.nova.find_flavor(ident) is None
    assert await theirs.nova.keypair(ident) is None
    assert await theirs.neutron.find_external_network(ident) is None
    assert await theirs.neutron.find_network(ident) is None
    assert await theirs.neutron.find_subnet(ident) is None


async def test_a_name_that_means_two_networks(sim: Sim, make_cloud: MakeCloud) -> None:
    _, theirs = await caller(sim, make_cloud(sim.identity))
    made = [await theirs.session.send("network", "POST", "/networks", {"network": {"name": "twin"}}) for _ in range(2)]
    with pytest.raises(Conflict, match="Multiple networks exist with same name 'twin'"):
        await theirs.neutron.find_network("twin")
    ident = made[0].doc("network").text("id")
    found = await theirs.neutron.find_network(ident)
    assert found is not None
    assert (found.id, found.external) == (ident, False)
    assert await theirs.neutron.find_external_network(ident) is None
    assert len(await theirs.neutron.items("networks", name="twin")) == 2
    assert await theirs.neutron.delete("networks", ident)
    assert not await theirs.neutron.delete("networks", ident)


async def test_one_401_costs_one_new_login(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await ours.heat.list_project()
    await sim.fault(kind="status", service="orchestration", status=401)
    await sim.forget()
    assert await ours.heat.list_project() == []
    assert await sim.count("identity", "POST", "/auth/tokens") == 1
    assert await sim.count("orchestration", "GET") == 2


async def test_tokens_that_the_cloud_let_expire_are_renewed(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await ours.heat.list_project()
    await sim.control("POST", "/clock/advance", {"seconds": 7200})
    assert await ours.heat.list_project() == []
    assert (await caller(sim, cloud))[0].user_name == "demo"


@pytest.mark.parametrize(
    ("rule", "status", "said"),
    [
        ({"kind": "status", "status": 429, "retry_after": 3, "message": "slow down"}, 429, "slow down"),
        ({"kind": "status", "status": 503}, 503, "Heat answered 503"),
        ({"kind": "rubbish"}, None, "makes no sense"),
        ({"kind": "drop"}, None, "dropped"),
        ({"kind": "hang"}, None, "no answer within"),
    ],
)
async def test_trouble_has_one_shape(
    sim: Sim, make_cloud: MakeCloud, rule: dict[str, object], status: int | None, said: str
) -> None:
    cloud = make_cloud(sim.identity, call_limit=1.5 if rule["kind"] == "hang" else 20.0)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await cloud.auth.token(who.project_id)
    # A dropped read may be sent again by the HTTP library, so every one is dropped.
    await sim.fault(service="orchestration", count=0, **rule)
    with pytest.raises(CloudError, match=said) as caught:
        await ours.heat.list_project()
    assert caught.value.retryable
    assert caught.value.status == status
    assert caught.value.service == "orchestration"
    assert caught.value.retry_after == (3.0 if status == 429 else None)


async def test_a_service_that_fails_in_a_row_is_left_alone(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity, probe_every=3600.0)
    who, theirs = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await sim.fault(kind="status", service="orchestration", status=500, count=0)
    await sim.forget()
    failed = await asyncio.gather(*(ours.heat.list_project() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, CloudError) for one in failed)
    with pytest.raises(CircuitOpen):
        await ours.heat.list_project()
    assert await sim.count("orchestration", "GET") == 20
    assert await theirs.nova.find_flavor("m1.small") is not None


async def test_a_project_without_our_role(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    token, _ = await sim.login("admin")
    users = (await sim.api("GET", "/identity/v3/users", token))["users"]
    roles = (await sim.api("GET", "/identity/v3/roles", token))["roles"]
    user = next(one["id"] for one in users if one["name"] == "jeroboam")
    role = next(one["id"] for one in roles if one["name"] == "member")
    path = f"/identity/v3/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects"
    await sim.api("DELETE", path, token)
    with pytest.raises(RoleMissing, match="openstack role add --user jeroboam") as caught:
        await cloud.for_project(who.project_id).heat.list_project()
    assert not caught.value.retryable
    await sim.api("PUT", path, token)
    assert await cloud.for_project(who.project_id).heat.list_project() == []


async def test_a_wrong_password_of_ours_is_our_trouble(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity, password="wrong")
    token, _ = await sim.login("demo")
    with pytest.raises(Unavailable):
        await cloud.validator.validate(token, method="GET", path="/")


async def test_application_credentials(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, theirs = await caller(sim, cloud)
    rules = [AccessRule("container-infra", "GET", "/v1/bays/*"), AccessRule("volumev3", "POST", "/v3/**")]
    made = await theirs.keystone.create_application_credential(
        who.user_id, "jeroboam-x-1", roles=["member"], access_rules=rules
    )
    assert made.secret
    assert made.secret not in repr(made)
    with pytest.raises(CloudError) as again:
        await theirs.keystone.create_application_credential(who.user_id, "jeroboam-x-1")
    assert again.value.status == 409
    assert [one.id for one in await theirs.keystone.application_credentials(who.user_id, "jeroboam-x-1")] == [made.id]

    token, _ = await sim.login_app_credential(made.id, made.secret)
    delegated = await cloud.validator.validate(token, method="GET", path="/v1/bays/abc")
    assert (delegated.app_cred_id, delegated.is_delegated) == (made.id, True)
    with pytest.raises(Unauthorized):
        await cloud.validator.validate(token, method="DELETE", path="/v1/bays/abc")

    _, admins = await caller(sim, cloud, "admin")
    assert await admins.keystone.delete_application_credential(who.user_id, made.id)
    assert not await admins.keystone.delete_application_credential(who.user_id, made.id)
    assert await theirs.keystone.application_credentials(who.user_id) == []


async def test_projects(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    _, admins = await caller(sim, cloud, "admin")
    found = await admins.keystone.project(who.project_id)
    assert found is not None
    assert (found.name, found.domain_id, found.enabled) == ("demo", "default", True)
    assert await admins.keystone.project("f" * 32) is None


async def test_servers_and_volumes_by_name_and_mark(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, theirs = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    image = await theirs.glance.find_image("coreos")
    network = await ours.session.send("network", "POST", "/networks", {"network": {"name": "n"}})
    network_id = network.doc("network").text("id")
    await ours.session.send(
        "network", "POST", "/subnets", {"subnet": {"network_id": network_id, "cidr": "10.9.0.0/24", "ip_version": 4}}
    )
    assert image is not None
    for name in ("bay.1-node", "bay-1-node"):
        body = {
            "name": name,
            "flavorRef": "2",
            "imageRef": image.id,
            "networks": [{"uuid": network_id}],
            "metadata": {"bay": name},
        }
        await ours.session.send("compute", "POST", "/servers", {"server": body})
        await ours.session.send("volumev3", "POST", "/volumes", {"volume": {"name": name, "size": 1}})
    servers = await ours.nova.servers(name_prefix="bay.1-")
    assert [one.name for one in servers] == ["bay.1-node"]
    assert [one.name for one in await ours.nova.servers(metadata={"bay": "bay-1-node"})] == ["bay-1-node"]
    server = await ours.nova.show(servers[0].id)
    assert server is not None
    assert await ours.nova.delete(server.id)
    volumes = await ours.cinder.volumes(name_prefix="bay-1")
    assert [(one.name, one.size_gb) for one in volumes] == [("bay-1-node", 1)]
    ports = await ours.neutron.items("ports", network_id=network_id)
    assert all(port.network_id == network_id for port in ports)
