"""The main job, done through the public API as a user would: a bay is born, grows, is used, shrinks and dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from services.cli.bay_config import Wanted, door_of, identity_of, kubeconfig
from services.cli.kubeconfig import Kubeconfig
from services.cli.view import View
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import OperationOut
from shared.domain.errors import CloudError, JeroboamError
from shared.domain.names import bay_tag
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackResource
from shared.pki_client.chain import verify_chain

_LOOK_EVERY = 0.1  # seconds; a step is to be seen within one second of its commit, and the last ones are short
_FINAL = frozenset({"done", "failed", "superseded", "cancelled"})

BAYMODEL = {
    "name": "k8sbaymodel",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "flavor_id": "m1.small",
    "coe": "kubernetes",
    "network_driver": "flannel",
}
BAY = {"name": "k8sbay", "master_count": 1, "node_count": 2}


class StoryFailed(JeroboamError):
    """An operation did not end well: which step, why, and what helps."""

    def __init__(self, step: str, cause: str, advice: str) -> None:
        super().__init__(f"{step}: {cause} {advice}")
        self.step = step
        self.cause = cause
        self.advice = advice


@dataclass(frozen=True)
class Story:
    """One telling. `limit` is how many seconds an operation may take; `folder` is where the kubeconfig goes."""

    client: JeroboamClient
    view: View
    folder: Path
    limit: float = 300.0

    @property
    def kubeconfig_file(self) -> Path:
        """The kubeconfig that the story writes."""
        return self.folder / "kubeconfig"

    async def tell(self) -> None:
        """Do all of it.

        Raises:
            StoryFailed: an operation failed or took too long.
            CloudError: the API refused.
            ChainError: a certificate does not hold.
        """
        with self.view.stage(f"Create the baymodel {BAYMODEL['name']}"):
            model = await self.client.create_baymodel(BAYMODEL)
        with self.view.stage("Create the bay k8sbay: 1 master, 2 nodes"):
            bay = await self.client.create_bay({**BAY, "baymodel_id": model.uuid})
            await self.follow(bay, "create")
            await self._expect_nodes(bay, 2)
        await self._resize(bay, 2, 4)
        with self.view.stage("Sign a client certificate, write a kubeconfig"):
            await self._sign(bay)
        await self._resize(bay, 4, 2)
        with self.view.stage("Delete the bay"):
            await self.client.delete_bay(bay)
            await self.follow(bay, "delete")
            await self._expect_gone(bay)
        with self.view.stage("Delete the baymodel"):
            await self.client.delete_baymodel(model.uuid)

    async def follow(self, bay: str, kind: str) -> None:
        """Show the newest operation of a bay until it ends.

        Raises:
            StoryFailed: it failed, or took longer than the limit.
        """
        heat = asyncio.create_task(self._show_heat(bay))
        seen: OperationOut | None = None
        try:
            async with asyncio.timeout(self.limit):
                while True:
                    seen = await self._look(bay, kind, seen)
                    if seen is None or seen.state in _FINAL:
                        break
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            cause = f"not done after {self.limit:g} s."
            raise StoryFailed(_current_sentence(seen), cause, f"The logs in {self.folder / 'logs'} tell why.") from None
        finally:
            heat.cancel()
            await asyncio.gather(heat, return_exceptions=True)
        if seen is not None and seen.state != "done":
            cause = seen.error or f"the operation ended as {seen.state}."
            advice = f"The service's log in {self.folder / 'logs'} has the details."
            raise StoryFailed(_current_sentence(seen), cause, advice)

    async def _look(self, bay: str, kind: str, seen: OperationOut | None) -> OperationOut | None:
        """The operation now; None once the bay is gone, which is how a delete ends."""
        try:
            operations = await self.client.operations(bay)
        except CloudError as error:
            if error.status != 404 or kind != "delete":
                raise
            if seen is not None:
                self.view.operation(_ended(seen))
            return None
        wanted = [o for o in operations if (o.id == seen.id if seen else o.kind == kind)]
        newest = max(wanted, key=lambda o: o.seq)
        self.view.operation(newest)
        return newest

    async def _show_heat(self, bay: str) -> None:
        """Show the Heat resources until cancelled; a listing that fails only means an older picture."""
        heat = HeatClient(self.client.session)
        while True:
            with suppress(CloudError):
                self.view.resources(await _resources(heat, UUID(bay)))
            await asyncio.sleep(5 * _LOOK_EVERY)

    async def _resize(self, bay: str, before: int, after: int) -> None:
        with self.view.stage(f"Resize from {before} to {after} nodes"):
            await self.client.resize_bay(bay, after)
            await self.follow(bay, "resize")
            await self._expect_nodes(bay, after)

    async def _expect_nodes(self, bay: str, count: int) -> None:
        found = await self.client.bay(bay)
        if found.status.endswith("_COMPLETE") and len(found.node_addresses) == count:
            return
        raise StoryFailed(
            "Look at the bay",
            f"it is {found.status} with {len(found.node_addresses)} node addresses, {count} were expected.",
            "Please report this as a bug.",
        )

    async def _expect_gone(self, bay: str) -> None:
        left = await HeatClient(self.client.session).list_by_tag(bay_tag(UUID(bay)))
        if left:
            names = ", ".join(stack.name for stack in left)
            raise StoryFailed("Look at the cloud", f"Heat still has {names}.", "Please report this as a bug.")

    async def _sign(self, bay: str) -> None:
        door, identity = await door_of(self.client, bay), await identity_of(self.client, Wanted(bay))
        config = kubeconfig(door, identity, "admin")
        await asyncio.to_thread(config.write, self.kubeconfig_file)
        written = await asyncio.to_thread(Kubeconfig.read, self.kubeconfig_file)
        verify_chain(written.certificate_pem, written.authority_pem)


async def _resources(heat: HeatClient, bay: UUID) -> Sequence[StackResource]:
    """The bay's Heat resources as the user sees them; none before and after the stack's life."""
    stacks = await heat.list_by_tag(bay_tag(bay))
    return await heat.resources(stacks[0].id, nested_depth=2) if stacks else ()


def _ended(operation: OperationOut) -> OperationOut:
    """An operation whose bay is gone, and with it the rows that would tell of its last step's end: it ended now."""
    now = datetime.now(UTC).isoformat()
    steps = [
        step if step.state == "done" else step.model_copy(update={"state": "done", "finished_at": now})
        for step in operation.steps
    ]
    return operation.model_copy(update={"steps": steps})


def _current_sentence(operation: OperationOut | None) -> str:
    """The step that an operation stands at, in words."""
    if operation is None:
        return "Look at the operation"
    open_steps = [step for step in operation.steps if step.state != "done"]
    return open_steps[0].sentence if open_steps else f"Finish the {operation.kind}"
