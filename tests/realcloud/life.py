"""A bay's life on a real cloud, lived by commands of unmodified clients, and all that was seen of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shared.client.api import JeroboamClient
from shared.contracts.http.bays import OperationOut
from shared.domain.errors import CloudError
from shared.openstack.nova import Server
from shared.pki_client import new_key_and_csr
from tests.clients.support.shell import Said
from tests.realcloud.cells import Cell
from tests.realcloud.nodes import Player
from tests.realcloud.premises import Premises
from tests.realcloud.shell import MAGNUM, Shell
from tests.realheat.ground import Ground, until_as_before

PATIENCE = 600.0
"""Seconds within which a bay must come to rest; servers that boot take minutes."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmjz5HCwpTLVRW2TdtMJlXhKfU6hhTZTUQpyjJdYV4F jeroboam-test"


@dataclass
class Bay:
    """One bay by the hands of a member of its project, and how long each thing took, in seconds."""

    name: str
    cell: Cell
    ground: Ground
    shell: Shell
    client: JeroboamClient
    player: Player
    uuid: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    async def template(self) -> None:
        """Make key pair and template."""
        (self.shell.folder / "key.pub").write_text(KEY + "\n")
        await self.shell.openstack(f"keypair create --public-key key.pub {self.name}")
        await self.another_template(self.name, self.ground.flavor)

    async def another_template(self, name: str, flavor: str) -> None:
        """Make a template of the cell, with this flavor for its workers, as long as the key pair is there."""
        ground = self.ground
        places = f"--image {ground.images[self.cell.distro]} --external-network {ground.external_network}"
        if not self.cell.own_network:
            places += f" --fixed-network {ground.network} --fixed-subnet {ground.subnet}"
        sizes = f"--flavor {flavor} --master-flavor {ground.flavor} --keypair {self.name}"
        await self.shell.openstack(f"coe cluster template create {name} {self.cell.options()} {places} {sizes}")

    async def create(self, nodes: int = 1) -> None:
        """Ask for it, and wait until it is there. Its creator's key pair is needed no longer."""
        await self.ask(nodes)
        await self.rests("CREATE_COMPLETE", "create")
        await self.shell.openstack(f"keypair delete {self.name}")

    async def ask(self, nodes: int = 1) -> None:
        """Ask for it only."""
        await self.shell.openstack(
            f"coe cluster create {self.name} --cluster-template {self.name} --node-count {nodes} --timeout 15"
        )
        self.uuid = str((await self.client.bay(self.name)).uuid)

    async def show(self) -> dict[str, str]:
        """The fields of `coe cluster show`."""
        return (await self.shell.openstack(f"coe cluster show {self.name}")).fields

    async def resize(self, nodes: int, phase: str, *, without: str = "") -> None:
        """Resize it, perhaps naming the node that is to go."""
        named = f" --nodes-to-remove {without}" if without else ""
        await self.shell.openstack(f"coe cluster resize {self.name} {nodes}{named}")
        await self.rests("UPDATE_COMPLETE", phase)

    async def update_with_rollback(self, nodes: int) -> None:
        """An update that its owner wants undone should it fail, and that does fail."""
        words = ["magnum", "bay-update", "--rollback", self.name, "replace", f"node_count={nodes}"]
        await self.shell.run(MAGNUM, words)
        await self.rests("UPDATE_FAILED", "rollback")

    async def delete(self) -> None:
        """Delete it and its template."""
        await self.shell.openstack(f"coe cluster delete {self.name}")
        await self.rests("", "delete")
        await self.shell.openstack(f"coe cluster template delete {self.name}")

    async def abandon(self) -> None:
        """Take down what a failed test left; the failure itself is told elsewhere."""
        if self.uuid and await self._status("?"):
            await self.client.delete_bay(self.uuid)
            with suppress(AssertionError):
                await self.rests("", "abandoned")

    async def rests(self, wanted: str, phase: str) -> None:
        """Wait until nothing is under way, from the command on; the status must be this one ("": gone)."""
        began, status = time.monotonic(), "?"
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while status == "?" or status.endswith("_IN_PROGRESS"):
                    await asyncio.sleep(0.5)  # a client of Magnum's API can only look again
                    status = await self._status(status)
        assert status == wanted, f"{self.name} is {status}, not {wanted}, after {phase}: {await self.story()}"
        self.seconds[phase] = round(time.monotonic() - began, 1)

    async def story(self) -> str:
        """Why it is as it is: reason, faults, and the steps of its operations."""
        if not await self._status("?"):
            return "it is gone"
        bay, operations = await self.client.bay(self.uuid), await self.client.operations(self.uuid)
        steps = [
            f"{one.kind} {one.state} {one.error}: {[s for s in one.steps if s.state != 'done']}" for one in operations
        ]
        return "\n".join([str(bay.status_reason), str(bay.bay_faults), *steps])

    async def workers(self) -> list[Server]:
        """Its workers as Nova shows them to the project."""
        marks = {"jeroboam_bay": self.uuid, "jeroboam_role": "worker"}
        return await self.ground.cloud.nova.servers(metadata=marks)

    async def _status(self, last: str) -> str:
        try:
            return str((await self.client.bay(self.uuid)).status)
        except CloudError as error:
            if error.status == 404:
                return ""
            if error.retryable:
                return last
            raise


@dataclass
class Life:
    """What was seen, in the order in which it happened."""

    bay: Bay
    before: Counter[str]
    created: dict[str, str]
    user_data: str
    """Of its worker, in base64."""
    certificate: str
    authority: str
    config: str
    """What `coe cluster config` printed."""
    files: list[str]
    grown: list[Server]
    leaves: str
    shrunk: list[Server]
    rolled_back: dict[str, str]
    after_rollback: list[Server]
    operations: list[OperationOut]
    issued: dict[str, dict[str, Any]]
    refusals: dict[str, str]
    after: Counter[str]


async def live(bay: Bay, before: Counter[str], premises: Premises) -> Life:
    """Made, signed for, grown, shrunk, updated in vain, and gone."""
    await bay.template()
    await bay.create()
    created = await bay.show()
    user_data = await premises.user_data((await bay.workers())[0].id)
    certificate, authority = await _signed(bay) if bay.cell.tls else ("", "")
    config = await _config(bay)
    await bay.resize(2, "grow")
    grown = await bay.workers()
    leaves = min(grown, key=lambda one: (one.created_at, one.name)).id
    await bay.resize(1, "shrink", without=leaves)
    shrunk = await bay.workers()
    await bay.player.fail_from_now_on()
    await bay.update_with_rollback(2)
    rolled_back, after_rollback = await bay.show(), await bay.workers()
    operations = await bay.client.operations(bay.uuid)
    files = sorted(path.name for path in (bay.shell.folder / "config").iterdir())
    await bay.delete()
    return Life(
        bay=bay,
        before=before,
        created=created,
        user_data=user_data,
        certificate=certificate,
        authority=authority,
        config=config.out,
        files=files,
        grown=grown,
        leaves=leaves,
        shrunk=shrunk,
        rolled_back=rolled_back,
        after_rollback=after_rollback,
        operations=operations,
        issued=bay.player.issued,
        refusals=bay.player.refusals,
        after=await until_as_before(bay.ground, before),
    )


async def _signed(bay: Bay) -> tuple[str, str]:
    (bay.shell.folder / "mine.csr").write_text(new_key_and_csr("admin", "system:masters").csr_pem)
    certificate = await bay.shell.openstack(f"coe ca sign {bay.name} mine.csr")
    authority = await bay.shell.openstack(f"coe ca show {bay.name}")
    return certificate.out, authority.out


async def _config(bay: Bay) -> Said:
    (bay.shell.folder / "config").mkdir()
    return await bay.shell.openstack(f"coe cluster config {bay.name} --dir config --output-certs")
