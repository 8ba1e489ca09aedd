"""What nodes have and make in a real cloud: the credential is rotated and revoked, what they made goes with the bay."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typing_extensions import override

from shared.domain.errors import CloudError
from shared.openstack.catalog import Endpoints
from tests.e2e.rotating import letter, opened, take
from tests.realcloud.cells import Cell
from tests.realcloud.conftest import Site
from tests.realcloud.life import Bay
from tests.realheat.ground import until_as_before
from tests.support.made_by_coe import Maker
from tests.support.realcloud import RealCloud

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class _WithVolumes(Cell):
    """A bay whose masters use the cloud."""

    @override
    def options(self) -> str:
        return f"{super().options()} --volume-driver cinder"


async def test_the_credential_is_rotated_and_all_goes_with_the_bay_but_the_volume(site: Site, tmp_path: Path) -> None:
    (person,) = await site.premises.project("rotating", site.domain)
    async with site.bay("rotating", _WithVolumes("k8s_ubuntu"), person) as bay:
        if bay.player.boots:
            pytest.skip("NOT RUN: rotation by played nodes (this cloud's servers boot and take it themselves)")
        cloud, before = site.premises.cloud, await bay.ground.counts()
        await bay.template()
        await bay.create()
        assert await _names(site, person.user_id) == {f"jeroboam-{bay.uuid}-1"}

        await bay.shell.openstack(f"coe credential rotate {bay.name}")
        (master,) = [node for node in bay.player.nodes.values() if node.role == "master"]
        told = opened(tmp_path, master, (await letter(master, 2))["sealed"])
        assert told is not None
        await _works(cloud, told, bay)
        await take([master], 2)
        await bay.rests("UPDATE_COMPLETE", "rotate")
        assert await _names(site, person.user_id) == {f"jeroboam-{bay.uuid}-2"}

        there = {one.id for one in await bay.workers()} | {master.server_id}
        await bay.resize(2, "grow")  # its parameters have another credential than the servers were born with
        assert there < {one.id for one in await bay.ground.cloud.nova.servers()}

        volume = await _made_by_kubernetes(bay)
        await bay.delete()
        assert (await _login(cloud, told)).status_code in (401, 404)
        kept = [one.id for one in await bay.ground.cloud.cinder.volumes()]
        assert volume in kept  # nobody asked for it to be deleted
        await bay.ground.cloud.cinder.delete(volume)
        assert await until_as_before(bay.ground, before) == before


async def _names(site: Site, user_id: str) -> set[str]:
    return {one.name for one in await site.premises.admin.keystone.application_credentials(user_id)}


async def _made_by_kubernetes(bay: Bay) -> str:
    """A service's load balancer, with address and security group, a port and a volume; the volume's id."""
    cloud, ground = bay.ground.cloud, bay.ground
    networks = await cloud.neutron.items("networks", project_id=ground.project_id)
    (own,) = [one.id for one in networks if one.id not in (ground.network, ground.external_network)]
    maker = Maker(cloud.session, bay.uuid)
    token = await cloud.session.tokens.token()
    if token.endpoints.has("load-balancer"):
        subnet = (await cloud.neutron.subnets_of(own))[0].id
        await maker.service(subnet, ground.external_network)
    await maker.port(own)
    return await maker.volume()


async def _login(cloud: RealCloud, told: dict[str, Any]) -> httpx.Response:
    method = {"id": told["id"], "secret": told["secret"]}
    body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": method}}}
    verify = ssl.create_default_context(cafile=cloud.credential.cafile)
    async with httpx.AsyncClient(trust_env=False, timeout=60, verify=verify) as http:
        return await http.post(f"{cloud.credential.url}/auth/tokens", json=body)


async def _works(cloud: RealCloud, told: dict[str, Any], bay: Bay) -> None:
    """It sees the bay's servers; what its rules do not name it may not do. Some clouds obey no rules: see `doctor`."""
    answer = await _login(cloud, told)
    assert answer.status_code == 201, answer.text
    who, opened_cloud = cloud.credential, cloud.open()
    endpoints = Endpoints.from_catalog(answer.json()["token"]["catalog"], region=who.region, interface=who.interface)
    node = opened_cloud.for_caller(answer.headers["X-Subject-Token"], endpoints)
    try:
        assert {one.id for one in await bay.workers()} <= {one.id for one in await node.nova.servers()}
        with pytest.raises(CloudError) as refused:
            await node.nova.delete_server_group("0" * 32)
        assert refused.value.status == 401
    finally:
        await opened_cloud.close()
