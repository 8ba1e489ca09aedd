"""A bay whose authorities' keys lie in the simulated Barbican, through all services."""

from __future__ import annotations

from pathlib import Path

from services.cli.stack import LocalStack
from shared.pki_client import new_key_and_csr, verify_chain
from tests.openstack.sim import Sim
from tests.support.jobs import BAYMODEL, reason, rows, settled


async def test_a_bay_keeps_its_keys_in_barbican_and_takes_them_along(tmp_path: Path) -> None:
    store = {"JEROBOAM_CERTIFICATE_STORE": "barbican"}
    async with LocalStack(tmp_path, speed=20, time_scale=0.2, extra_environment=store) as stack:
        async with stack.client("demo") as client:
            model = await client.create_baymodel(BAYMODEL)
            bay = await client.create_bay({"name": "kept", "baymodel_id": model.uuid, "node_count": 1})
            assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)

            kinds = ("etcd", "front_proxy", "kubernetes", "service_account")
            assert await secrets(stack) == [f"jeroboam-{bay}-{kind}-1" for kind in kinds]
            assert await rows(stack, "SELECT 1 FROM authority_keys WHERE sealed IS NOT NULL") == []
            signed = await client.sign(bay, new_key_and_csr("admin", "system:masters").csr_pem)
            verify_chain(signed.pem, (await client.authority(bay)).pem)

            await client.delete_bay(bay)
            assert await settled(client, bay) == ""
        assert await secrets(stack) == []


async def secrets(stack: LocalStack) -> list[str]:
    """Names of the service project's secrets."""
    sim = Sim(stack.cloud_url)
    token, _ = await sim.login("jeroboam", "service")
    found = await sim.api("GET", "/key-manager/v1/secrets?limit=100", token)
    await sim.close()
    return sorted(one["name"] for one in found["secrets"])
