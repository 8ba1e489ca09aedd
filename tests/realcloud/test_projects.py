"""Projects in which our service user may not act."""

from __future__ import annotations

import re

import pytest

from tests.realcloud.cells import Cell
from tests.realcloud.conftest import Site
from tests.realcloud.shell import OPENSTACK, Shell
from tests.realheat.ground import until_as_before

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_project_without_our_role_is_refused_with_the_command_that_grants_it(site: Site) -> None:
    """The command is run as it was printed; then the same request is accepted."""
    domain = await site.premises.domain("strangers")
    (person,) = await site.premises.project("strangers", domain)
    async with site.bay("stranger", Cell("swarm_fedora_atomic"), person) as bay:
        before = await bay.ground.counts()
        await bay.template()
        create = f"openstack coe cluster create {bay.name} --cluster-template {bay.name} --node-count 1"
        refused = await bay.shell.tried(OPENSTACK, create.split())
        assert refused.code != 0, str(refused)
        assert f"has no role in project {person.project_id}" in refused.err
        command = re.search(rf"openstack role add [^()]* --project {person.project_id} \w+", refused.err)
        assert command, refused.err
        assert await bay.client.bays() == []

        operator = Shell(site.premises.cloud.credential, bay.shell.folder)
        await operator.run(OPENSTACK, command[0].split())
        await bay.create()
        await bay.delete()
        assert await until_as_before(bay.ground, before) == before
