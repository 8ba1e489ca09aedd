"""Resizing clusters as an action (contract §1.10.7)."""

from __future__ import annotations

from uuid import UUID

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup, resize
from services.api.usecases.growth import fitting
from shared.contracts.http.clusters import ClusterResize
from shared.domain.queue import Door


async def ask_resize(context: Context, facts: Facts, ident: str, body: ClusterResize) -> UUID:
    """Accept another number of nodes, after a failed change too; the cluster's id.

    The same number again is an operation as well: it is how an autoscaler pushes once more, and clients wait for
    UPDATE_COMPLETE.

    Raises:
        ClientFault: with Magnum's sentence; nothing was changed.
        CloudError: the cloud does not tell whether more nodes fit; nothing was changed.
    """

    async def attempt(fits: bool) -> UUID:
        return await _resize(context, facts, ident, body, fits=fits)

    return await fitting(context, facts, attempt)


async def _resize(context: Context, facts: Facts, ident: str, body: ClusterResize, *, fits: bool) -> UUID:
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, ident, "resize")
        await resize.ask(
            context,
            facts,
            CLUSTER,
            conn,
            bay,
            node_count=body.node_count,
            door=Door.RESIZE,
            nodegroup=body.nodegroup,
            named=body.nodes_to_remove,
            fits=fits,
        )
    context.committed()
    return bay.id
