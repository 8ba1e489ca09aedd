"""A bay is asked for (contract §1.10.5): checks, then one transaction, then the answer.

Nothing is written before every check has passed, except the intent of a node credential; so a request may be repeated
until it succeeds. Quota is looked at first, to refuse early, and counts in the transaction under a lock of the project,
so that two requests at once cannot both take the last place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import credentials
from services.api.usecases.credentials import GENERATION, NodeCredential
from services.api.usecases.dry_run import preview
from services.api.usecases.plan_bay import Plan, check_quota, no_template, plan
from shared.contracts.http.bays import NewBay
from shared.db.repositories import baymodels, bays, documents, nodegroups, operations, quotas
from shared.db.repositories.documents import Document
from shared.domain import names
from shared.domain.errors import ClientFault
from shared.domain.operation import OperationKind


class Accepted(NamedTuple):
    """A bay that was accepted: its row as it stands, and what its owner should know."""

    document: Document
    warnings: list[str]


async def create(context: Context, facts: Facts, face: Face, body: NewBay) -> Accepted:
    """Accept a bay.

    Raises:
        ClientFault: with Magnum's sentence; nothing was accepted.
        CloudError, Unavailable: something that must be asked does not answer; nothing was accepted.
    """
    context.policy.enforce(facts.caller, face.rule("create"))
    made = await plan(context, facts, face, body)
    wanted = made.driver.needs_cloud_credential(made.judged)
    rules = made.driver.access_rules(made.judged)
    credential = await credentials.make(context, facts, made.id, rules) if wanted else None
    try:
        written = await _write(context, facts, face, body, made, credential)
    except ClientFault:  # surely rolled back; of anything else we do not know whether the commit came through
        if credential is not None:
            await credentials.take_back(context, facts, credential)
        raise
    context.committed()
    return Accepted(written, made.warnings)


async def dry_run(context: Context, facts: Facts, face: Face, body: NewBay) -> dict[str, object]:
    """What the bay would be, after the same checks and changing nothing. Raises what `create` raises."""
    context.policy.enforce(facts.caller, face.rule("dry_run"))
    made = await plan(context, facts, face, body, strange_key=True)
    return preview(made.driver, made.judged, made.rehearsal, warnings=made.warnings, flavors=made.flavors)


async def _write(
    context: Context, facts: Facts, face: Face, body: NewBay, made: Plan, credential: NodeCredential | None
) -> Document:
    """The one transaction: quota, bay with its history and nodegroups, operation with steps, message."""
    caller = facts.caller
    async with context.engine.begin() as conn:
        await quotas.hold_project(conn, caller.project_id)
        await check_quota(conn, context, caller)
        if await baymodels.hold(conn, made.model.id) is None:  # deleted meanwhile
            raise no_template(facts, face, str(made.model.id))
        await bays.insert_bay(conn, id=made.id, **_columns(facts, body, made))
        await nodegroups.insert_defaults(conn, made.id)
        if credential is not None:
            await credentials.keep(conn, credential)
        await operations.enqueue(
            conn,
            bay_id=made.id,
            kind=OperationKind.CREATE,
            request={"node_count": body.node_count, "master_count": body.master_count},
            requested_by=caller.user_id,
            timeout_minutes=body.timeout,
            warnings=made.warnings,
        )
        written = await documents.by_id(await documents.within(conn), face.shelf, None, made.id)
    assert written is not None  # noqa: S101 - written above, in the same transaction
    return written


def _columns(facts: Facts, body: NewBay, made: Plan) -> dict[str, Any]:
    """The bay's row."""
    return {
        "project_id": facts.caller.project_id,
        "user_id": facts.caller.user_id,
        "name": made.name,
        "baymodel_id": made.model.id,
        "driver": made.driver.name,
        "generation": GENERATION,
        "stack_name": names.stack_name(made.name, made.id, GENERATION),
        "node_count": body.node_count,
        "master_count": body.master_count,
        "create_timeout": body.timeout,
        "spec": dict(made.spec),
        "labels": made.labels.effective,
        "labels_added": made.labels.added,
        "labels_overridden": made.labels.overridden,
        "labels_skipped": made.labels.skipped,
        "merge_labels": body.merges_labels,
        "discovery_url": body.discovery_url,
    }
