"""The one cluster that a request is about, as a row: for what hangs on clusters and shows none of their documents."""

from __future__ import annotations

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.usecases import lookup
from shared.db.repositories import bays
from shared.domain.bay import Bay
from shared.openstack.validate import Caller


async def seen(context: Context, caller: Caller, ident: str, rule: str | None = None) -> Bay:
    """The cluster of that uuid or name. For a change, `lookup.hold` gives it.

    With `rule`, the policy is asked about this cluster, so that an operator's file may name its user or project.

    Raises:
        Forbidden: the policy says no.
        NotFound: there is none that the caller may see.
        Conflict: the name means several.
    """
    scope = context.policy.scope(caller, CLUSTER.rule("get_one_all_projects"))
    found = await lookup.find(context.reader, CLUSTER, scope, ident)
    async with context.engine.connect() as conn:
        bay = await bays.get(conn, found.id)
    if bay is None:
        raise CLUSTER.missing(ident)
    if rule is not None:
        context.policy.enforce(caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    return bay
