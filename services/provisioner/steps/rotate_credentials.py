"""Giving a bay's nodes another cloud credential: encrypted to each node, taken by all, then the older ones are revoked.

The credential was made by the gateway, of the generation that the operation's request names. Both it and the one before
are valid until every node says that it uses the new one. A rotation that ends before that revokes nothing: nodes may
have the one or the other, and the next rotation brings all of them to its own. A server that the cloud has no more gets
nothing: somebody may have kept its key. Nothing is revoked while there is a server that no record knows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.attest.examine import ROLE_MARK
from services.provisioner.factory import Deps
from services.provisioner.facts import opened_secret, roles_with_credential
from services.provisioner.leftovers import MARK
from services.provisioner.steps.delete import revoke
from services.provisioner.steps.gone import MEMO, is_gone, known_gone, stands
from shared.db.repositories import node_credentials, stacks
from shared.db.repositories.node_credentials import Letter, Recipient
from shared.openstack.nova import Server
from shared.pki_client import sealed_for
from shared.worker.outcome import Apply, Broke, Done, Outcome, StepContext, Wait

LOOK_SECONDS: Final = 5.0
"""Between two looks at what nodes say; they themselves look every 15 s during an operation."""
CLOUD_EVERY: Final = 12
"""Every how many looks the cloud is asked which of the servers that are waited for are still there."""
_NAMED: Final = 10


async def seal_for_nodes(ctx: StepContext[Deps]) -> Outcome:
    """Encrypt it to every node that has a certificate; `await_nodes` does so for those that get one later."""
    servers = await _servers(ctx)
    if unknown := await _unknown(ctx, servers):
        return _stranger(unknown)
    found = await _recipients(ctx)
    gone = await _gone(ctx, found, servers)
    standing = [node for node in found if node.server_id not in gone]
    return Done(await _letters(ctx, standing), memo={MEMO: sorted(gone)})


async def await_nodes(ctx: StepContext[Deps]) -> Outcome:
    """Wait until every node says that it uses this generation, or a later one."""
    looks = int(str(ctx.operation.memo.get("looks", 0))) + 1
    gone = known_gone(ctx)
    found = [node for node in await _recipients(ctx) if node.server_id not in gone]
    late = [node for node in found if (node.reported or 0) < _generation(ctx)]
    if late and (ctx.operation.overdue or looks % CLOUD_EVERY == 0 or _lacking(ctx, late)):
        gone |= await _gone(ctx, late, await _servers(ctx))
        late = [node for node in late if node.server_id not in gone]
    if not late:
        return Done()
    if ctx.operation.overdue:
        return _in_vain(late)
    note = f"{len(late)} of {len(found)} nodes do not use the new credential yet: {_names(late)}"
    memo = {"looks": looks, MEMO: sorted(gone)}
    return Wait(LOOK_SECONDS, note=note, memo=memo, apply=await _letters(ctx, late))


async def revoke_old(ctx: StepContext[Deps]) -> Outcome:
    """Revoke every older generation, whoever's it was: a user who was deleted has taken it along."""
    if unknown := await _unknown(ctx, await _servers(ctx)):
        return _stranger(unknown)
    async with ctx.deps.engine.connect() as conn:
        held = await stacks.credentials_of(conn, ctx.bay.id)
    older = [credential for credential in held if credential.generation < _generation(ctx)]
    for credential in older:
        await ctx.guard()
        await revoke(ctx.deps, credential.user_id, credential.name)

    async def forget(conn: AsyncConnection) -> None:
        # One that was only intended may be made at this moment: its row stays for the sweep.
        gone = [credential.generation for credential in older if credential.accepted]
        await stacks.forget_credentials(conn, ctx.bay.id, gone)
        await node_credentials.forget(conn, ctx.bay.id)

    return Done(forget)


def _generation(ctx: StepContext[Deps]) -> int:
    return int(str(ctx.operation.request["credential_generation"]))


async def _recipients(ctx: StepContext[Deps]) -> list[Recipient]:
    """Those whose user-data held the credential when they were born."""
    async with ctx.deps.engine.connect() as conn:
        render = await stacks.render_of(conn, ctx.bay.id, ctx.bay.generation)
        roles = () if render is None else roles_with_credential(render)
        return await node_credentials.recipients(conn, ctx.bay.id, roles)


def _lacking(ctx: StepContext[Deps], nodes: Sequence[Recipient]) -> list[tuple[str, str, str]]:
    """Server, serial and certificate of those whose newest certificate has no letter of this generation."""
    generation = _generation(ctx)
    return [
        (node.server_id, node.serial, node.pem)
        for node in nodes
        if node.serial and node.pem and (node.sealed_for, node.sealed_generation) != (node.serial, generation)
    ]


async def _letters(ctx: StepContext[Deps], nodes: Sequence[Recipient]) -> Apply | None:
    """Writes a letter to each of them that lacks one; all of them are known to stand."""
    generation, lacking = _generation(ctx), _lacking(ctx, nodes)
    if not lacking:
        return None
    content = await _content(ctx, generation)
    letters = await asyncio.to_thread(
        lambda: [Letter(server, generation, serial, sealed_for(pem, content)) for server, serial, pem in lacking]
    )

    async def keep(conn: AsyncConnection) -> None:
        await node_credentials.keep(conn, ctx.bay.id, letters)

    return keep


async def _content(ctx: StepContext[Deps], generation: int) -> bytes:
    async with ctx.deps.engine.connect() as conn:
        credential = await stacks.credential_of(conn, ctx.bay.id, generation)
    if credential is None:
        raise ValueError(f"bay {ctx.bay.id} has no credential of generation {generation}")
    secret = opened_secret(ctx.deps.seal_private_key, credential)
    return json.dumps({"id": credential.credential_id, "secret": secret, "generation": generation}).encode()


async def _servers(ctx: StepContext[Deps]) -> list[Server]:
    """The standing servers that bear the bay's mark."""
    listed = await ctx.deps.project(ctx.bay).nova.servers(metadata={MARK: str(ctx.bay.id)})
    return [server for server in listed if stands(server)]


async def _gone(ctx: StepContext[Deps], nodes: Sequence[Recipient], servers: Sequence[Server]) -> frozenset[str]:
    """The ids of those that the cloud has no more. Who is not listed is asked for: a mark can be taken off a server."""
    nova, standing = ctx.deps.project(ctx.bay).nova, {server.id for server in servers}
    missing = [node.server_id for node in nodes if node.server_id not in standing]
    return frozenset([server_id for server_id in missing if await is_gone(nova, server_id)])


async def _unknown(ctx: StepContext[Deps], servers: Sequence[Server]) -> list[str]:
    """Servers that were born with a credential and are no nodes, as after a resize that failed."""
    async with ctx.deps.engine.connect() as conn:
        known = {node.server_id for node in await stacks.nodes_of(conn, ctx.bay.id)}
        render = await stacks.render_of(conn, ctx.bay.id, ctx.bay.generation)
    roles = () if render is None else roles_with_credential(render)
    strange = [one for one in servers if one.id not in known]
    # One without the mark of a role counts: it may be either.
    return sorted(f"{one.name} ({one.id})" for one in strange if one.metadata.get(ROLE_MARK) in (None, *roles))


def _stranger(servers: Sequence[str]) -> Broke:
    """They would lose the cloud with the old credential."""
    return Broke(
        f"There are servers of this cluster that are not known as its nodes: {_some(servers)}. "
        "The old credential stays valid. Resize the cluster first, so that they are recorded, then rotate again."
    )


def _in_vain(late: Sequence[Recipient]) -> Broke:
    reason = (
        f"The new cloud credential was not taken by {len(late)} of the nodes: {_names(late)}. "
        "The old one stays valid. Rotate again when these nodes run and reach the API."
    )
    return Broke(reason, faults={node.name: _fault(node) for node in late})


def _fault(node: Recipient) -> str:
    if node.serial is None:
        return "It has never asked for a certificate, so nothing could be encrypted to it."
    if node.reported is None:
        return "It has never said which credential it uses."
    return f"It says that it uses generation {node.reported} of the credential."


def _names(nodes: Sequence[Recipient]) -> str:
    return _some([node.name for node in nodes])


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(words[:_NAMED])
    return f"{shown} and {len(words) - _NAMED} more" if len(words) > _NAMED else shown
