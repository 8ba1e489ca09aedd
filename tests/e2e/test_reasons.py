"""Why a bay failed, as its owner reads it: the resource, Heat's own words, and what to do; for what never ends, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import GoneEvent, StatusEvent
from tests.support.jobs import BAYMODEL, control, rows, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_HOST = (
    'Went to status ERROR due to "Message: No valid host was found. There are not enough hosts available., Code: 500"'
)
PATIENCE = 60.0


SPEED = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.2) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def well(stack: LocalStack) -> AsyncIterator[None]:
    """What a test did to the cloud is undone after it."""
    yield
    await control(stack, "/heat/behaviours", "DELETE")
    await control(stack, "/speed", "PUT", {"speed": SPEED})


async def bay_of(client: JeroboamClient, **other: object) -> str:
    model = await client.create_baymodel(BAYMODEL)
    return await client.create_bay({"name": "broken", "baymodel_id": model.uuid, "node_count": 1, **other})


async def told(client: JeroboamClient, bay: str) -> tuple[str, dict[str, str]]:
    """The bay's reason and its faults, once it has failed."""
    assert (await settled(client, bay)).endswith("_FAILED")
    shown = await client.bay(bay)
    return shown.status_reason or "", shown.bay_faults or {}


async def note(client: JeroboamClient, bay: str, *, words: str) -> str:
    """The first note of a step that has these words, as the stream of events tells it."""
    async with asyncio.timeout(PATIENCE), aclosing(client.events(bay)) as events:
        async for event in events:
            if isinstance(event.data, OperationOut):
                notes = [step.note or "" for step in event.data.steps]
                if found := next((one for one in notes if words in one), None):
                    return found
    raise AssertionError(f"the stream ended without {words}")


async def test_a_server_that_no_host_takes(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        rule = {"effect": "fail", "type": "OS::Nova::Server", "path": "kube_minions/*", "reason": NO_HOST}
        await control(stack, "/heat/behaviours", "POST", rule)
        bay = await bay_of(client)
        why, faults = await told(client, bay)
        (name,) = [one for one in faults if one.startswith("kube_minions.0.")]
        assert why.startswith(f"Creating the bay: {name} (OS::Nova::Server")
        assert NO_HOST in why
        assert why.endswith("ask the operator for capacity.")
        assert NO_HOST in faults[name]
        assert faults[name].endswith("ask the operator for capacity.")
        assert all("aborted" not in words for words in faults.values())
        (failed,) = await client.operations(bay)
        assert failed.error == why


async def test_a_node_that_never_reports(stack: LocalStack) -> None:
    """The cloud's time stands still, so Heat never gives up; we do, when the operation's own time is over."""
    async with stack.client("demo") as client:
        await control(stack, "/heat/behaviours", "POST", {"effect": "never_signal", "path": "*"})
        bay = await bay_of(client)
        await note(client, bay, words="CREATE_IN_PROGRESS")
        await control(stack, "/speed", "PUT", {"speed": 0})
        await rows(stack, "UPDATE operations SET deadline = now() WHERE bay_id = $1::uuid", bay)
        why, faults = await told(client, bay)
        assert why.startswith("Creating the bay: Heat was not done after 60 minutes; it still waits for ")
        assert " since 20" in why
        assert faults
        assert all(name in why for name in list(faults)[:3])
        await control(stack, "/speed", "PUT", {"speed": SPEED})
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""


async def test_a_stack_in_which_nothing_moves(stack: LocalStack) -> None:
    """A bay without a time limit is given up after two hours of silence, which the memo is made to hold."""
    async with stack.client("demo") as client:
        await control(stack, "/heat/behaviours", "POST", {"effect": "never_signal", "path": "*"})
        bay = await bay_of(client, bay_create_timeout=0)
        await note(client, bay, words="CREATE_IN_PROGRESS")
        await control(stack, "/speed", "PUT", {"speed": 0})
        forgotten = (
            "UPDATE operations SET memo = memo || '{\"looked_at\": 0, \"changed_at\": 0}' WHERE state = 'active'"
        )
        async with asyncio.timeout(PATIENCE):
            while not (await settled_or_none(client, bay)):
                await rows(stack, forgotten)
                await asyncio.sleep(0.2)
        why, _faults = await told(client, bay)
        assert why.startswith(
            "Creating the bay: Nothing has changed in the Heat stack for two hours; it still waits for "
        )


async def settled_or_none(client: JeroboamClient, bay: str) -> str | None:
    status = (await client.bay(bay)).status
    return None if status.endswith("_IN_PROGRESS") else status


async def test_a_time_limit_of_heat_s_own_names_what_it_waited_for(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        await control(stack, "/heat/behaviours", "POST", {"effect": "never_signal", "path": "*"})
        bay = await bay_of(client, bay_create_timeout=1)
        why, faults = await told(client, bay)
        assert "it still waits for kube_masters.0." in why
        assert "openstack console log show" in why
        assert any("openstack console log show" in words for words in faults.values())


async def test_what_holds_a_network_is_named_and_the_deletion_goes_on_without_it(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await bay_of(client, name="held")
        assert await settled(client, bay) == "CREATE_COMPLETE"
        network = await network_of(client, "held")
        port = {"network_id": network, "device_owner": "compute:nova", "device_id": "s-7", "name": "somebody's server"}
        made = await client.session.send("network", "POST", "/ports", {"port": port})
        await client.delete_bay(bay)
        why = await note(client, bay, words="Held by")
        assert why.startswith("Deleting the bay: ")
        assert f"port {made.doc('port').text('id')} of server s-7" in why
        assert "(OS::Neutron::" in why
        assert "ask for the deletion again." in why

        ends: list[Any] = []
        await client.session.delete("network", f"/ports/{made.doc('port').text('id')}")
        async with asyncio.timeout(PATIENCE), aclosing(client.events(bay)) as events:
            ends.extend([event.data async for event in events])
        assert isinstance(ends[-1], GoneEvent)
        assert [one.became for one in ends if isinstance(one, StatusEvent)][-1] == "DELETE_COMPLETE"


async def network_of(client: JeroboamClient, bay_name: str) -> str:
    """The bay's own network, in Neutron."""
    found = (await client.session.call("network", "GET", "/networks", wants_json=True)).json().docs("networks")
    names = [(one.text("id"), one.text("name")) for one in found if not one.flag("router:external")]
    own = [ident for ident, name in names if name.startswith(f"{bay_name}-")]
    assert len(own) == 1, names
    return own[0]
