"""Heat's habits that matter: redirects by id, accepted answers without JSON, previews, one listing for many."""

from __future__ import annotations

import asyncio
import json

import pytest

from shared.domain.errors import CloudError
from shared.openstack.errors import Rubbish
from tests.openstack.conftest import MakeCloud
from tests.openstack.wire import Say, Seen, Wire

STACK: dict[str, object] = {
    "id": "id-1", "stack_name": "bay-1", "stack_status": "UPDATE_IN_PROGRESS", "stack_status_reason": "",
    "tags": ["jeroboam"], "creation_time": "2026-01-01T00:00:00Z", "updated_time": None,
}  # fmt: skip


async def test_by_id_goes_through_the_redirect_once(wire: Wire, make_cloud: MakeCloud) -> None:
    def script(seen: Seen) -> Say:
        if seen.path == "/v1/p1/stacks/id-1":
            return Say(302, headers={"Location": "http://127.0.0.9:1/v1/p1/stacks/bay-1/id-1"})
        return Say(body={"stack": STACK | {"parameters": {"jeroboam_operation": "op-7", "n": "3"}}})

    cloud = make_cloud(wire.url)
    wire.script = script
    for _ in range(2):
        stack = await cloud.for_project("p1").heat.show("id-1")
    assert stack is not None
    assert (stack.operation, stack.action, stack.phase) == ("op-7", "UPDATE", "IN_PROGRESS")
    assert [one.path for one in wire.calls] == ["/v1/p1/stacks/id-1", *["/v1/p1/stacks/bay-1/id-1"] * 2]
    assert "op-7" not in repr(stack)


async def test_an_update_is_accepted_without_a_word_of_json(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda seen: (
        Say(body={"stacks": [STACK]}) if seen.method == "GET" else Say(202, b"<html>202 Accepted</html>")
    )
    heat = cloud.for_project("p1").heat
    assert await heat.find_stack("bay-1") is not None
    await heat.update("id-1", parameters={"n": "4"}, tags=["jeroboam", "x"])
    assert (wire.calls[-1].method, wire.calls[-1].path) == ("PATCH", "/v1/p1/stacks/bay-1/id-1")
    assert json.loads(wire.calls[-1].body) == {"parameters": {"n": "4"}, "tags": "jeroboam,x"}


async def test_only_servers_of_a_preview_count(wire: Wire, make_cloud: MakeCloud) -> None:
    def one(name: str, kind: str, physical: str) -> dict[str, str]:
        return {"resource_name": name, "resource_type": kind, "physical_resource_id": physical, "stack_name": "s"}

    changes = {
        "unchanged": [], "updated": [], "added": [],
        "replaced": [
            one("net", "OS::Neutron::Subnet", "n1"), one("0", "file:///node.yaml", "x0"),
            one("server", "OS::Nova::Server", "s1"),
        ],
        "deleted": [one("1", "file:///node.yaml", "x"), one("server", "OS::Nova::Server", "s2")],
    }  # fmt: skip
    cloud = make_cloud(wire.url)
    wire.script = lambda seen: Say(body={"stacks": [STACK]} if seen.method == "GET" else {"resource_changes": changes})
    heat = cloud.for_project("p1").heat
    await heat.find_stack("bay-1")
    preview = await heat.preview_update("id-1", parameters={})
    assert [server.physical_id for server in preview.replaced_servers] == ["x0", "s1"]
    assert preview.servers_fewer == 1
    assert wire.calls[-1].target == "/v1/p1/stacks/bay-1/id-1/preview?show_nested=true"


async def test_a_stack_that_is_gone(wire: Wire, make_cloud: MakeCloud) -> None:
    heat = make_cloud(wire.url).for_project("p1").heat
    assert await heat.show("id-9") is None
    assert await heat.outputs("id-9") is None
    assert await heat.resources("id-9") == []
    assert await heat.events("id-9", back_to=lambda _: False) == []
    assert await heat.delete("id-9") is False
    with pytest.raises(CloudError, match="no stack id-9"):
        await heat.update("id-9", parameters={})


async def test_a_redirect_to_somewhere_else_is_rubbish(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url)
    wire.script = lambda _: Say(302, headers={"Location": "http://127.0.0.9/login"})
    with pytest.raises(Rubbish, match="does not name the stack"):
        await cloud.for_project("p1").heat.show("id-1")


async def test_many_bays_of_a_project_cost_one_listing(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, listing_kept=3600.0)
    stacks = [STACK | {"id": f"id-{n}", "stack_name": f"bay-{n}"} for n in range(50)]
    wire.script = lambda _: Say(body={"stacks": stacks})
    found = await asyncio.gather(*(cloud.stacks.status("p1", f"id-{n}") for n in range(50)))
    assert [one.name for one in found if one] == [f"bay-{n}" for n in range(50)]
    assert len(wire.calls) == 1
    assert wire.calls[0].target == "/v1/p1/stacks?tags=jeroboam"


async def test_gone_is_never_said_from_an_old_listing(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, listing_kept=3600.0)
    stacks: list[dict[str, object]] = []
    wire.script = lambda _: Say(body={"stacks": stacks})
    assert await cloud.stacks.status("p1", "id-1") is None
    stacks.append(STACK)
    found = await cloud.stacks.status("p1", "id-1")
    assert found is not None
    assert found.name == "bay-1"


async def test_after_a_change_of_ours_an_older_listing_does_not_count(wire: Wire, make_cloud: MakeCloud) -> None:
    cloud = make_cloud(wire.url, listing_kept=3600.0)
    wire.script = lambda _: Say(body={"stacks": [STACK]})
    await cloud.stacks.status("p1", "id-1")
    cloud.stacks.forget("p1")
    wire.script = lambda _: Say(body={"stacks": [STACK | {"stack_status": "DELETE_IN_PROGRESS"}]})
    found = await cloud.stacks.status("p1", "id-1")
    assert found is not None
    assert found.status == "DELETE_IN_PROGRESS"
