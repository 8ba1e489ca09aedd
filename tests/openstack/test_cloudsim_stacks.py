"""Stacks against cloudsim over real sockets: the whole life, lost answers, previews."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.domain.errors import CloudError
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import TEMPLATE, caller, create, settled
from tests.openstack.sim import Sim


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
    events = await ours.heat.events(stack_id, back_to=lambda _: False, limit=2)  # page by page
    whole = await ours.heat.events(stack_id, back_to=lambda _: False)
    assert len(events) > 2
    assert [one.id for one in whole] == [one.id for one in events]
    newest = await ours.heat.events(stack_id, back_to=lambda one: one.id == events[-2].id, limit=1)
    assert [one.id for one in newest] == [one.id for one in events[-2:]]

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
    preview = await ours.heat.preview_update(stack_id, parameters=same | {"count": "4"})
    assert (preview.nested, preview.servers_fewer, preview.replaced_servers) == (False, 0, ())
    other = NODE.replace("image: coreos", "image: coreos\n      user_data: other")
    preview = await ours.heat.preview_update(stack_id, parameters=same, template=SERVERS, files={"node.yaml": other})
    assert len(preview.replaced_servers) == 2

    await ours.heat.update(stack_id, parameters=smaller)
    await settled(ours, stack_id)
    assert [one.id for one in await ours.nova.servers()] == [servers[1].id]
    preview = await ours.heat.preview_update(stack_id, parameters=same)
    assert (preview.servers_fewer, preview.replaced_servers) == (0, ())
    with pytest.raises(CloudError, match="count"):
        await ours.heat.preview_update(stack_id, parameters=same | {"count": "many"})
