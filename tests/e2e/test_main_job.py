"""The main job on both buses: a bay is born, grows, is signed for, shrinks and goes, and the cloud is as before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.domain.errors import CloudError
from shared.pki_client import new_key_and_csr, verify_chain
from tests.support.jobs import BAYMODEL, cloud_counts, control, reason, rows, settled
from tests.support.servers import rabbitmq_or_skip

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["postgres", "rabbitmq"])
async def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """One for all tests here on this bus: each leaves it as it was."""
    amqp_url = rabbitmq_or_skip("e2e") if request.param == "rabbitmq" else None
    root = tmp_path_factory.mktemp("stack")
    async with LocalStack(root, bus=request.param, amqp_url=amqp_url, speed=20, time_scale=0.2) as running:
        yield running


async def test_a_bay_is_born_grows_and_dies(stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    async with stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "k8s", "baymodel_id": model.uuid, "node_count": 2, "master_count": 1})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        born = {node["server_id"] for node in await rows(stack, "SELECT server_id FROM nodes")}
        assert len(born) == 3

        await client.resize_bay(bay, 4)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        grown = {node["server_id"] for node in await rows(stack, "SELECT server_id FROM nodes")}
        assert born < grown
        assert len(grown) == 5

        mine = new_key_and_csr("admin", "system:masters")
        signed = await client.sign(bay, mine.csr_pem)
        verify_chain(signed.pem, (await client.authority(bay)).pem)

        await client.resize_bay(bay, 2)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        left = {node["server_id"] for node in await rows(stack, "SELECT server_id FROM nodes")}
        assert left == born
        assert len((await client.bay(bay)).node_addresses) == 2

        await client.delete_bay(bay)
        assert await settled(client, bay) == ""
        await client.delete_baymodel(model.uuid)
    assert await cloud_counts(stack) == before
    assert await rows(stack, "SELECT bay_id FROM cloud_credentials") == []
    assert await rows(stack, "SELECT authority_id FROM authority_keys") == []
    assert await rows(stack, "SELECT reason FROM dead_letters") == []


async def test_a_broken_cloud_ends_in_a_reason_that_names_the_resource(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        fault = {"effect": "fail", "type": "OS::Nova::Server", "reason": "No valid host was found."}
        await control(stack, "/heat/behaviours", "POST", fault)
        bay = await client.create_bay({"name": "broken", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, bay) == "CREATE_FAILED"
        why = await reason(client, bay)
        assert "No valid host was found." in why
        assert "OS::Nova::Server" in why
        await control(stack, "/heat/behaviours", "DELETE")
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""


async def test_two_projects_do_not_see_each_other(stack: LocalStack) -> None:
    async with stack.client("demo") as client, stack.client("alt") as other:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "mine", "baymodel_id": model.uuid, "node_count": 1})
        assert await other.bays() == []
        for call in (other.bay, other.delete_bay, other.operations):
            with pytest.raises(CloudError, match="could not be found") as refused:
                await call(bay)
            assert refused.value.status == 404
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""
