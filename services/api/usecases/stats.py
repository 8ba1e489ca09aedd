"""How many bays and nodes there are (contract §1.17)."""

from __future__ import annotations

from services.api.factory import Context
from services.api.request import Facts
from shared.db.repositories import quotas
from shared.domain.errors import Forbidden, InvalidInput

_KIND = "cluster"


async def totals(context: Context, facts: Facts, project_id: str | None, kind: str) -> dict[str, int]:
    """Of a project; without one of the caller's own, and for administrators of the whole cloud. Masters are nodes too.

    Raises:
        InvalidInput: a kind that is not counted.
        Forbidden: it is another project.
    """
    caller = facts.caller
    context.policy.enforce(caller, "stats:get_all")
    if kind.lower() != _KIND:
        raise InvalidInput(f"Invalid stats type. Allowed values are '{_KIND}'", field="type")
    if not caller.is_admin:
        if project_id not in (None, caller.project_id):
            raise Forbidden("Not authorized.")
        project_id = caller.project_id
    async with context.engine.connect() as conn:
        bays, nodes = await quotas.totals(conn, project_id)
    return {"clusters": bays, "nodes": nodes}
