"""Whole flows against cloudsim over real sockets, with its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.domain.errors import CloudError, Conflict, Unauthorized, Unavailable
from shared.openstack.access_rules import AccessRule
from shared.openstack.cloud import Cloud, ProjectCloud
from shared.openstack.errors import CircuitOpen, RoleMissing
from shared.openstack.stacks import StackSummary
from tests.openstack.conftest import MakeCloud
from tests.openstack.sim import Sim

TEMPLATE = """
heat_template_version: 2018-08-31
parameters:
  jeroboam_operation: {type: string}
  count: {type: number, default: 1}
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      resource_def:
        type: OS::Heat::RandomString
        properties: {length: 8}
  secret:
    type: OS::Heat::RandomString
    properties: {length: 16}
outputs:
  secret: {value: {get_resource: secret}}
"""


async def caller(sim: Sim, cloud: Cloud, user: str = "demo", project: str | None = None) -> tuple[Any, ProjectCloud]:
    """A user as the gateway sees it, and the cloud as that user sees it."""
    token, _ = await sim.login(user, project)
    who = await cloud.validator.validate(token, method="GET", path="/v1/bays")
    return who, cloud.for_caller(token, who.endpoints)


async def create(ours: ProjectCloud, name: str = "bay-1", operation: str = "op-1") -> str:
    return await ours.heat.create(
        name=name,
        template=TEMPLATE,
        files={},
        environment={},
        parameters={"jeroboam_operation": operation},
        tags=["jeroboam", f"tag-{name}"],
        timeout_mins=60,
    )


async def settled(ours: ProjectCloud, stack_id: str) -> StackSummary | None:
    """The stack once nothing is in progress."""
    while True:
        stack = await ours.heat.show(stack_id)
        if stack is None or stack.phase != "IN_PROGRESS":
            return stack
        await asyncio.sleep(0.05)  # Heat has no event to wait for


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
    assert (await theirs.nova.limits()).servers != 0


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


async def test_a_stack_from_birth_to_death(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await ours.heat.validate(TEMPLATE, {}, {})
    stack_id = await create(ours)
    found = await ours.heat.find_stack("bay-1")
    assert found is not None
    assert (found.id, found.tags) == (stack_id, ("jeroboam", "tag-bay-1"))
    assert [one.id for one in await ours.heat.list_by_tag("tag-bay-1")] == [stack_id]
    assert (await cloud.stacks.status(who.project_id, stack_id)) is not None

    stack = await settled(ours, stack_id)
    assert stack is not None
    assert stack.status == "CREATE_COMPLETE"
    shown = await ours.heat.show(stack_id)
    assert shown is not None
    assert shown.operation == "op-1"
    outputs = await ours.heat.outputs(stack_id)
    assert outputs is not None
    assert len(str(outputs["secret"])) == 16
    resources = await ours.heat.resources(stack_id, nested_depth=2)
    assert {"group", "secret", "0"} <= {one.name for one in resources}
    assert {one.stack_name for one in resources if one.name == "secret"} == {"bay-1"}
    events = await ours.heat.events(stack_id)
    assert events
    later = await ours.heat.events(stack_id, after=events[0].id)
    assert [one.id for one in later] == [one.id for one in events[1:]]

    change = {"jeroboam_operation": "op-2", "count": "2"}
    assert (await ours.heat.preview_update(stack_id, parameters=change)).replaced_servers == ()
    await ours.heat.update(stack_id, parameters=change, tags=["jeroboam", "tag-bay-1"])
    await settled(ours, stack_id)
    shown = await ours.heat.show(stack_id)
    assert shown is not None
    assert (shown.status, shown.operation, shown.parameters["count"]) == ("UPDATE_COMPLETE", "op-2", "2")
    assert outputs == await ours.heat.outputs(stack_id)

    assert await ours.heat.delete(stack_id)
    gone = await settled(ours, stack_id)
    assert gone is None or gone.status == "DELETE_COMPLETE"
    assert await ours.heat.find_stack("bay-1") is None
    cloud.stacks.forget(who.project_id)
    assert await cloud.stacks.status(who.project_id, stack_id) is None


async def test_a_name_that_is_taken_and_a_broken_template(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    await create(ours)
    with pytest.raises(CloudError, match="bay-1") as taken:
        await create(ours)
    assert (taken.value.status, taken.value.retryable) == (409, True)
    with pytest.raises(CloudError, match="Heat answered 400") as broken:
        await ours.heat.validate(TEMPLATE.replace("OS::Heat::RandomString", "OS::No::Such"), {}, {})
    assert not broken.value.retryable


@pytest.mark.parametrize("step", ["create", "update", "delete"])
async def test_answer_lost_effect_kept_and_sent_once(sim: Sim, make_cloud: MakeCloud, step: str) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[step]
    stack_id = ""
    if step != "create":
        stack_id = await create(ours)
        await settled(ours, stack_id)
    await sim.fault(kind="answer_lost", service="orchestration", method=method)
    await sim.forget()
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: create(ours),
        "update": lambda: ours.heat.update(stack_id, parameters={"jeroboam_operation": "op-2"}),
        "delete": lambda: ours.heat.delete(stack_id),
    }
    with pytest.raises(CloudError) as lost:
        await acts[step]()
    assert (lost.value.retryable, lost.value.status) == (True, None)
    assert await sim.count("orchestration", method) == 1
    if step == "create":
        assert len(await ours.heat.list_project()) == 1
    elif step == "update":
        shown = await ours.heat.show(stack_id)
        assert shown is not None
        assert shown.operation == "op-2"
    else:
        await settled(ours, stack_id)
        assert await ours.heat.find_stack("bay-1") is None


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


SERVERS = """
heat_template_version: 2018-08-31
parameters:
  jeroboam_operation: {type: string}
  count: {type: number}
  flavor: {type: string, default: m1.small}
  leave: {type: comma_delimited_list, default: ""}
resources:
  nodes:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      removal_policies: [{resource_list: {get_param: leave}}]
      resource_def:
        type: node.yaml
        properties: {}
"""
NODE = """
heat_template_version: 2018-08-31
resources:
  net: {type: OS::Neutron::Net}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.7.0.0/24}}
  server:
    type: OS::Nova::Server
    depends_on: subnet
    properties:
      flavor: m1.small
      image: coreos
      networks: [{network: {get_resource: net}}]
outputs:
  OS::stack_id: {value: {get_resource: server}}
"""


async def test_a_preview_counts_servers(sim: Sim, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(sim.identity)
    who, _ = await caller(sim, cloud)
    ours = cloud.for_project(who.project_id)
    stack_id = await ours.heat.create(
        name="bay-2",
        template=SERVERS,
        files={"node.yaml": NODE},
        environment={},
        parameters={"jeroboam_operation": "op-1", "count": "2"},
        tags=["jeroboam"],
    )
    stack = await settled(ours, stack_id)
    assert stack is not None
    assert stack.status == "CREATE_COMPLETE", stack.reason
    servers = await ours.nova.servers()
    assert len(servers) == 2
    same = {"jeroboam_operation": "op-2"}
    assert (await ours.heat.preview_update(stack_id, parameters=same)).servers_fewer == 0
    smaller = same | {"count": "1", "leave": servers[0].id}
    preview = await ours.heat.preview_update(stack_id, parameters=smaller)
    assert (preview.servers_fewer, preview.replaced_servers) == (1, ())
    assert (await ours.heat.preview_update(stack_id, parameters=same | {"count": "4"})).servers_fewer == -2

    await ours.heat.update(stack_id, parameters=smaller)
    await settled(ours, stack_id)
    assert [one.id for one in await ours.nova.servers()] == [servers[1].id]
    preview = await ours.heat.preview_update(stack_id, parameters=same)
    assert (preview.servers_fewer, preview.replaced_servers) == (0, ())
    other = NODE.replace("image: coreos", "image: ubuntu-mesos")
    preview = await ours.heat.preview_update(stack_id, parameters=same, template=SERVERS, files={"node.yaml": other})
    assert preview.replaced_servers or preview.deleted
