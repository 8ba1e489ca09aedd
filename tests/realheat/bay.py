"""One bay's stack on a cloud's Heat, handled as the provisioner handles it; its nodes' part is played as well."""

from __future__ import annotations

import asyncio
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID, uuid4

import httpx

from shared.domain import names
from shared.domain.errors import CloudError
from shared.domain.shards import stack_name
from shared.drivers import registry
from shared.drivers.common.shards import shard_stack
from shared.drivers.common.stack import authority_parameter
from shared.drivers.contract import MARK_PARAMETER, BayFacts, BayOutputs, BaySecrets, Driver, RenderedStack
from shared.openstack.answers import Doc
from shared.openstack.heat import SERVICE
from shared.openstack.stacks import StackChanges
from tests.realheat.cells import Cell, changes
from tests.realheat.ground import Ground

DEPTH: Final = 4
_LIMIT: Final = 600.0
_PATIENCE: Final = 5
"""How often a preview is asked for: Heat gives up after a minute, which a busy machine may need."""
_SECRETS = BaySecrets(application_credential_id="a1b2c3d4e5f6", application_credential_secret="not-a-secret")
_CA = "-----BEGIN CERTIFICATE-----\nMIIBexample\n-----END CERTIFICATE-----\n"
_OTHER_CA = _CA.replace("example", "another")
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample someone@example.org"


@dataclass
class BayStack:
    """A stack of a bay of one cell. `bay_of` makes the first, and `shard` the others."""

    ground: Ground
    driver: Driver
    facts: BayFacts
    name: str
    stack: RenderedStack
    plays_nodes: bool
    """Whether its nodes' signals are sent from here; a simulated cloud has nodes that do it themselves."""
    groups: list[str] = field(default_factory=list)
    """Server groups that it was given."""
    stack_id: str = ""
    authorities: str = ""
    """What new nodes are to trust; empty as long as it is what the bay was born with."""
    _signalled: set[str] = field(default_factory=set)

    @property
    def prefix(self) -> str:
        """What the names of all that is the stack's begin with."""
        return self.name.lower()

    def rotate(self) -> None:
        """Its authorities are being rotated: whoever is made from now on trusts two."""
        self.authorities = self.facts.ca_pem and self.facts.ca_pem + _OTHER_CA

    def newer_files(self) -> dict[str, str]:
        """The stack's files as of a later release, with other user-data."""
        return {name: _aged(name, text) for name, text in self.stack.files.items()}

    def shard(self, outputs: Mapping[str, object], nodes: int) -> BayStack:
        """A further stack of the bay, not yet created; `outputs` are the first one's."""
        shared = outputs["shard"]
        assert isinstance(shared, Mapping)
        stack = shard_stack(self.stack, 1, self.driver.resize_parameters(nodes, ()), shared)
        return BayStack(self.ground, self.driver, self.facts, stack_name(self.name, 1), stack, self.plays_nodes)

    async def create(self) -> None:
        """Have Heat validate the stack, and create it."""
        heat, stack = self.ground.cloud.heat, self.stack
        await heat.validate(stack.template, stack.files, stack.environment)
        self.stack_id = await heat.create(
            name=self.name,
            template=stack.template,
            files=stack.files,
            environment=stack.environment,
            parameters=stack.parameters,
            tags=(names.TAG, names.bay_tag(UUID(self.facts.bay_id))),
            timeout_mins=self.facts.timeout_minutes,
        )
        await self._settled("CREATE_COMPLETE")

    async def rehearse(
        self, nodes: int, absent: tuple[str, ...] = (), files: Mapping[str, str] | None = None
    ) -> StackChanges:
        """Heat's preview for so many nodes that stay, as the provisioner asks for it (decision 0002)."""
        parameters, template = self._resizing(nodes, absent), self._template(files)
        for _ in range(_PATIENCE):
            try:
                return await self.ground.cloud.heat.preview_update(
                    self.stack_id, parameters=parameters, files=files, template=template
                )
            except CloudError as error:
                if not error.retryable:
                    raise
        raise AssertionError("Heat gave no preview.")

    async def resize(self, nodes: int, remove: tuple[str, ...] = (), files: Mapping[str, str] | None = None) -> None:
        """Resize, with the stored files or with others."""
        await self.ground.cloud.heat.update(
            self.stack_id,
            parameters=self._resizing(nodes, remove),
            files=files,
            template=self._template(files),
            timeout_mins=self.facts.timeout_minutes,
        )
        await self._settled("UPDATE_COMPLETE")

    async def outputs(self) -> dict[str, object]:
        """The stack's outputs as Heat gives them."""
        found = await self.ground.cloud.heat.outputs(self.stack_id)
        assert found is not None
        return found

    async def read(self) -> BayOutputs:
        """The outputs as the driver reads them."""
        return self.driver.read_outputs(await self.outputs())

    async def kinds(self) -> Counter[str]:
        """How many resources of each type the stack has, nested ones included."""
        return Counter(one.type for one in await self.ground.cloud.heat.resources(self.stack_id, nested_depth=DEPTH))

    async def delete(self) -> None:
        """Delete the stack, and what was made beside it."""
        if self.stack_id:
            await self.ground.cloud.heat.delete(self.stack_id)
            await self._settled("DELETE_COMPLETE")
        await _ungroup(self.ground, self.groups)

    def _template(self, files: Mapping[str, str] | None) -> str | None:
        return None if files is None else self.stack.template

    def _resizing(self, nodes: int, remove: tuple[str, ...]) -> dict[str, str]:
        rotated = authority_parameter(self.authorities) if self.authorities else {}
        return self.driver.resize_parameters(nodes, remove) | rotated | {MARK_PARAMETER: str(uuid4())}

    async def _settled(self, wanted: str) -> None:
        async with asyncio.timeout(_LIMIT):
            while True:
                stack = await self.ground.cloud.heat.show(self.stack_id)
                if stack is None and wanted == "DELETE_COMPLETE":
                    return
                assert stack is not None
                if stack.phase != "IN_PROGRESS":
                    break
                if self.plays_nodes and stack.action != "DELETE":
                    await self._signal()
                await asyncio.sleep(1 if self.plays_nodes else 0.05)  # Heat has no event to wait for
        assert stack.status == wanted, await self._story(stack.reason)

    async def _story(self, reason: str) -> str:
        resources = await self.ground.cloud.heat.resources(self.stack_id, nested_depth=DEPTH)
        failed = [f"{one.type} {one.name}: {one.reason}" for one in resources if one.status.endswith("FAILED")]
        return "\n".join([f"{self.prefix}: {reason}", *failed])

    async def _signal(self) -> None:
        """What a node does at the end of its boot: it tells the wait condition of its own nested stack.

        Heat is asked only when there are new servers: its listing of nested resources takes seconds.
        """
        servers = await self.ground.cloud.nova.servers(name_prefix=self.prefix)
        if sum(server.status == "ACTIVE" for server in servers) <= len(self._signalled):
            return
        path = f"/stacks/{self.name}/{self.stack_id}/resources"
        found = await self.ground.cloud.session.get(SERVICE, path, params={"nested_depth": str(DEPTH)})
        resources = [] if found is None else found.docs("resources")
        waiting = {
            _link(one, "stack")
            for one in resources
            if one.text("resource_type") == "OS::Heat::WaitCondition"
            and (one.maybe("resource_status") or "").endswith("IN_PROGRESS")
        }
        for one in resources:
            stack = _link(one, "stack")
            if one.text("resource_type") == "OS::Heat::WaitConditionHandle" and stack in waiting - self._signalled:
                self._signalled.add(stack)
                await self._tell(_link(one, "self"))

    async def _tell(self, handle: str) -> None:
        shown = await self.ground.cloud.session.get(SERVICE, handle[handle.index("/stacks/") :])
        assert shown is not None
        command = shlex.split(shown.doc("resource").doc("attributes").text("curl_cli"))
        headers = {command[at + 1].partition(": ")[0]: command[at + 1].partition(": ")[2] for at in _options(command)}
        url = next(word for word in command if word.startswith("http"))
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.post(url, headers=headers, json={"status": "SUCCESS"})
            answer.raise_for_status()


async def bay_of(ground: Ground, cell: Cell, *, nodes: int, plays_nodes: bool) -> BayStack:
    """A bay of this cell, not yet created, with the server groups that it would be given."""
    driver = registry.by_name(cell.driver)
    server_type, os_distro, coe = driver.key
    bay_id = uuid4()
    existing = cell.network == "existing"
    facts = BayFacts(
        bay_id=str(bay_id),
        bay_name="cell",
        project_id=ground.project_id,
        generation=1,
        stack_name=names.stack_name("cell", bay_id, 1),
        operation_id=str(uuid4()),
        api_url="http://192.0.2.10:9511/v1",
        keystone_url="http://192.0.2.10:5000/v3",
        region="RegionOne",
        coe=coe,
        server_type=server_type,
        os_distro=os_distro,
        node_count=nodes,
        flavor_id=ground.flavor,
        master_flavor_id=ground.flavor,
        image_id=ground.images[os_distro],
        external_network_id=ground.external_network,
        ca_pem=_CA if cell.tls else "",
        ssh_public_key=_KEY,
        fixed_network=ground.network if existing else None,
        fixed_subnet=ground.subnet if existing else None,
        timeout_minutes=15,
        **changes(cell),
    )
    groups: dict[str, str] = {}
    for role, group in names.server_groups(facts.stack_name, facts.master_count, facts.labels).items():
        groups[role] = (await ground.cloud.nova.create_server_group(group.name, group.policy)).id
    facts = replace(facts, master_server_group=groups.get("master", ""), worker_server_group=groups.get("worker", ""))
    try:
        stack = driver.render(facts, _SECRETS)
    except BaseException:
        await _ungroup(ground, groups.values())
        raise
    return BayStack(ground, driver, facts, facts.stack_name, stack, plays_nodes, list(groups.values()))


async def _ungroup(ground: Ground, groups: Iterable[str]) -> None:
    for group in groups:
        await ground.cloud.nova.delete_server_group(group)


def _aged(name: str, text: str) -> str:
    """The user-data with one comment more, in the part that comes last."""
    if not name.endswith(".user-data"):
        return text
    head, dashes, tail = text.rstrip("\n").rpartition("\n--")
    return f"{head}\n# A later release.{dashes}{tail}\n" if dashes else text.replace("{", "{ ", 1)


def _link(resource: Doc, kind: str) -> str:
    return next(one.text("href") for one in resource.docs("links") if one.maybe("rel") == kind)


def _options(command: list[str]) -> list[int]:
    return [at for at, word in enumerate(command) if word == "-H"]
