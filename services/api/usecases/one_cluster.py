"""The one cluster that a request is about, as a row: for what hangs on clusters and shows none of their documents."""

from __future__ import annotations

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.usecases import lookup
from shared.db.repositories import bays
from shared.domain.bay import Bay
from shared.openstack.validate import Caller


async def seen(context: Context, caller: Caller, ident: str) -> Bay:
    """The cluster of that uuid or name. For a change, `lookup.hold` gives it.

    Raises:
        NotFound: there is none that the caller may see.
        Conflict: the name means several.
    """
    scope = context.policy.scope(caller, CLUSTER.rule("get_one_all_projects"))
    found = await lookup.find(context.reader, CLUSTER, scope, ident)
    async with context.engine.connect() as conn:
        bay = await bays.get(conn, found.id)
    if bay is None:
        raise CLUSTER.missing(ident)
    return bay
