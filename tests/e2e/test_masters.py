"""The number of a bay's masters changes, one at a time, and the others stay what they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.e2e.masters import Masters, at_work
from tests.e2e.nodes import Node
from tests.support.jobs import BAYMODEL, control, reason, rows, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=20, time_scale=0.05) as running:
        yield running


async def _bay(stack: LocalStack, client: JeroboamClient, masters: int = 1) -> Masters:
    model = await client.create_baymodel({**BAYMODEL, "master_lb_enabled": True})
    bay = await client.create_bay({"baymodel_id": model.uuid, "name": "m", "master_count": masters, "node_count": 2})
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
    return Masters(stack, client, bay)


async def _workers(masters: Masters) -> set[str]:
    query = "SELECT server_id FROM nodes WHERE role = 'worker' AND bay_id = $1::uuid"
    return {row["server_id"] for row in await rows(masters.stack, query, masters.bay)}


async def _running(masters: Masters) -> set[str]:
    """Ids of its masters' servers in the cloud."""
    servers = (await control(masters.stack, "/state?kind=server"))["records"]["server"]
    marks = {"jeroboam_bay": masters.bay, "jeroboam_role": "master"}
    return {one["id"] for one in servers if marks.items() <= one["metadata"].items()}


async def _more(masters: Masters, path: str, **body: object) -> None:
    """Ask for something of a nodegroup, and wait for the end."""
    client, headers = masters.client, {"OpenStack-API-Version": "container-infra 1.14"}
    path = f"/clusters/{masters.bay}/{path}"
    await client.session.call("container-infra", "POST", path, json=body, headers=headers)
    assert await settled(client, masters.bay) == "UPDATE_COMPLETE", await reason(client, masters.bay)


async def _told(masters: Masters) -> int:
    """Of how many masters the stack of the further nodegroup was told."""
    session = masters.client.session
    listed = (await session.call("orchestration", "GET", "/stacks", wants_json=True)).json().docs("stacks")
    (one,) = [one for one in listed if one.text("stack_name").endswith("-g1")]
    path = f"/stacks/{one.text('stack_name')}/{one.text('id')}"
    shown = (await session.call("orchestration", "GET", path, wants_json=True)).json().doc("stack")
    return len(shown.doc("parameters").text("master_private_addresses").split(","))


async def test_masters_come_and_go_one_at_a_time(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        masters = await _bay(stack, client)
        workers = await _workers(masters)
        async with at_work(masters):
            first = await masters.servers()
            await masters.resize(3)
            three = await masters.servers()
            assert len(three) == 3
            assert first.items() <= three.items()
            assert (await client.bay(masters.bay)).master_count == 3
            await masters.resize(1)
            assert await masters.servers() == first
            assert masters.sizes == [1, 2, 3, 2, 1]
            # A group that grows again takes the indices that it gave up, and the lists by place stay right.
            await masters.resize(3)
            again = await masters.servers()
            assert again.keys() == three.keys()
            assert first.items() <= again.items()
            assert len(set(again.values()) & set(three.values())) == 1
        assert await _workers(masters) == workers
        shown = await client.bay(masters.bay)
        assert (shown.master_count, len(shown.master_addresses or [])) == (3, 3)


async def test_who_comes_to_a_further_group_is_told_of_todays_masters(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        masters = await _bay(stack, client)
        await _more(masters, "nodegroups", name="more", node_count=1)
        workers = await _workers(masters)
        assert await _told(masters) == 1
        async with at_work(masters):
            await masters.resize(3)
        await _more(masters, "actions/resize", nodegroup="more", node_count=2)
        assert await _told(masters) == 3
        assert workers < await _workers(masters)


async def test_a_master_that_does_not_answer_is_taken_out_by_another(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        masters = await _bay(stack, client, 3)
        gone = f"{next(iter(await masters.servers())).removesuffix('-0')}-2"
        asked: list[tuple[str, str]] = []

        def does(master: Node, leaving: str | None) -> bool:
            if leaving is not None:
                asked.append((master.name, leaving))
            return leaving is None or master.name != gone

        masters.does = does
        async with at_work(masters):
            await masters.heard()
            await masters.resize(1, seconds=120)
        assert masters.sizes == [1, 2, 3, 2, 1]
        first, second = (name for name, _ in (asked[0], asked[-1]))
        assert first == gone, "it was asked itself before"
        assert second == f"{gone.removesuffix('-2')}-1"
        other, of_whom = next(one for one in asked if one[0] != gone)
        assert (other, of_whom) == (f"{gone.removesuffix('-2')}-0", asked[0][1]), "the first one takes it out"


async def _fails(masters: Masters, resource: str) -> None:
    """The next one of this kind fails in the bay's second master."""
    kinds = {"server": "OS::Nova::Server", "wait_condition": "OS::Heat::WaitCondition"}
    rule = {"effect": "fail", "type": kinds[resource], "path": f"kube_masters/1/{resource}", "times": 1}
    path = "/heat/behaviours"
    await control(masters.stack, path, "POST", {**rule, "stack": f"*{UUID(masters.bay).hex[:12]}*"})


async def test_a_master_that_did_not_come_up_takes_leave_with_the_next_change(stack: LocalStack) -> None:
    """Its server runs, so it votes in the store, and what Heat deletes first is its port."""
    async with stack.client("demo") as client:
        masters = await _bay(stack, client)
        first = await masters.servers()
        await _fails(masters, "wait_condition")
        async with at_work(masters):
            await masters.resize(3, "UPDATE_FAILED")
            assert await masters.servers() == first
            assert len(await _running(masters)) == 2
            await masters.resize(1)
            assert await _running(masters) == {*first.values()}
            assert not masters.lost, "the store kept its majority"
            await masters.resize(3)
        assert first.items() <= (await masters.servers()).items()


async def test_a_master_whose_server_failed_is_no_obstacle(stack: LocalStack) -> None:
    """Heat would replace its server, as the rehearsal says; down and up again both go on."""
    async with stack.client("demo") as client:
        masters = await _bay(stack, client)
        first = await masters.servers()
        async with at_work(masters):
            await _fails(masters, "server")
            await masters.resize(3, "UPDATE_FAILED")
            await masters.resize(1)
            assert await _running(masters) == {*first.values()}
            await _fails(masters, "server")
            await masters.resize(3, "UPDATE_FAILED")
            await masters.resize(3)
            assert len(await masters.servers()) == len(await _running(masters)) == 3
            assert first.items() <= (await masters.servers()).items()


async def _fault(masters: Masters, **rule: object) -> None:
    await control(masters.stack, "/faults", "POST", {"kind": "status", "count": 1, **rule})


async def test_a_change_that_failed_after_the_server_went_is_taken_up(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        masters = await _bay(stack, client, 3)
        three = await masters.servers()
        async with at_work(masters):
            await masters.heard()
            await _fault(masters, service="orchestration", method="PATCH", path="/stacks/[^/]+/[^/]+$", status=400)
            await masters.resize(1, "UPDATE_FAILED")
            assert await masters.servers() == three
            assert len(await _running(masters)) == 2
            await masters.resize(5, "UPDATE_FAILED")
            why = await reason(client, masters.bay)
            assert "Nova has no server of" in why
            assert "ask for fewer masters first" in why
            await masters.resize(1)
            assert await _running(masters) == {*(await masters.servers()).values()}
        assert len(await masters.servers()) == 1
        assert not masters.lost


_TOO_LATE = """
CREATE FUNCTION too_late() RETURNS trigger AS $$ BEGIN NEW.deadline := now() - interval '1 second'; RETURN NEW; END $$
LANGUAGE plpgsql;
CREATE TRIGGER too_late BEFORE UPDATE ON operations FOR EACH ROW
WHEN (NEW.kind = 'resize_masters' AND NEW.step = 'resize_masters.stack' AND OLD.step = 'resize_masters.leave')
EXECUTE FUNCTION too_late()
"""


async def test_no_server_goes_that_nova_keeps_or_when_the_time_is_up(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        masters = await _bay(stack, client, 3)
        stranger = await _stranger(masters)
        three = await _running(masters)
        async with at_work(masters):
            await masters.heard()
            await _fault(masters, service="compute", method="DELETE", path="/servers/", status=409, message="Locked.")
            await masters.resize(1, "UPDATE_FAILED")
            assert "Nova does not delete" in await reason(client, masters.bay)
            assert (await client.bay(masters.bay)).master_count == 3
            for statement in _TOO_LATE.split(";\nCREATE TRIGGER"):
                await rows(stack, statement if "FUNCTION" in statement[:20] else f"CREATE TRIGGER{statement}")
            try:
                await masters.resize(1, "UPDATE_FAILED")
            finally:
                await rows(stack, "DROP FUNCTION too_late CASCADE")
            assert "No server was removed" in await reason(client, masters.bay)
            assert (await client.bay(masters.bay)).master_count == 3
            assert await _running(masters) == three
            await masters.resize(1)
        assert await _running(masters) == {stranger, *(await masters.servers()).values()}


async def _stranger(masters: Masters) -> str:
    """A server with the marks of a master, which somebody else has made."""
    servers = (await control(masters.stack, "/state?kind=server"))["records"]["server"]
    like = next(one for one in servers if one["metadata"].get("jeroboam_bay") == masters.bay)
    marks = {"jeroboam_bay": masters.bay, "jeroboam_role": "master"}
    body = {"name": "mine", "flavorRef": like["flavor_id"], "imageRef": like["image_id"], "metadata": marks}
    made = await masters.client.session.call("compute", "POST", "/servers", json={"server": body}, wants_json=True)
    return made.json().doc("server").text("id")


async def test_nothing_changes_while_a_master_is_not_well(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, speed=20, time_scale=0.01) as stack, stack.client("demo") as client:
        masters = await _bay(stack, client)
        servers = await masters.servers()
        # Nobody plays its agent: it has never reported.
        await masters.resize(3, "UPDATE_FAILED")
        why = await reason(client, masters.bay)
        assert "is not well: it has not reported lately." in why
        assert "Nothing was changed." in why
        assert await masters.servers() == servers
        assert (await client.bay(masters.bay)).master_count == 1, "the wish is taken back"
