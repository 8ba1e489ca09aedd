"""A bay is asked for (contract §1.10.5): checks, then one transaction, then the answer.

Nothing is written before every check has passed, except the intent of a node credential; so a request may be repeated
until it succeeds. Quota is looked at first, to refuse early, and counts in the transaction under a lock of the project,
so that two requests at once cannot both take the last place.
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api import policy
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, credentials
from services.api.usecases.credentials import GENERATION, NodeCredential
from services.api.usecases.effective import Place, effective, facts_to_judge, spec_of, wishes
from services.api.usecases.lookup import BAYMODEL, as_uuid
from shared.contracts.http.bays import BayCreate
from shared.db.repositories import baymodels, bays, documents, operations, quotas, stacks
from shared.db.repositories.documents import BAYS, Document
from shared.domain import names
from shared.domain.bay import Baymodel
from shared.domain.errors import ClientFault, Forbidden, InvalidInput
from shared.domain.operation import FLOWS, OperationKind
from shared.drivers import registry
from shared.drivers.contract import Driver
from shared.openstack.errors import RoleMissing
from shared.openstack.validate import Caller


async def create(context: Context, facts: Facts, body: BayCreate) -> Document:
    """Accept a bay; its row as it stands.

    Raises:
        ClientFault: with Magnum's sentence; nothing was accepted.
        CloudError, Unavailable: something that must be asked does not answer; nothing was accepted.
    """
    policy.enforce(facts.caller, "bay:create")
    async with context.engine.connect() as conn:
        await _check_quota(conn, context, facts.caller)
        model = await _baymodel(conn, facts.caller, body.baymodel_id)
    attributes = effective(body, model, default_flavor=context.settings.default_flavor)
    found = await checks.look_up(context.cloud_of(facts.caller, facts.token), wishes(attributes))
    driver = registry.find(str(attributes["server_type"]), found.os_distro, model.coe)
    check_kind(driver, OperationKind.CREATE)
    await _check_our_role(context, facts.caller)
    bay_id = uuid4()
    name = body.name or names.automatic(secrets.randbelow(24 * 24), "bay")
    spec = spec_of(attributes, found)
    settings = context.settings
    place = Place(f"{facts.base_url}/v1", settings.keystone_url, settings.region)
    judged = facts_to_judge(spec, body, bay_id=bay_id, name=name, project_id=facts.caller.project_id, place=place)
    driver.validate(judged)
    credential = await credentials.make(context, facts, bay_id) if driver.needs_cloud_credential(judged) else None
    columns: dict[str, Any] = {
        "id": bay_id,
        "project_id": facts.caller.project_id,
        "user_id": facts.caller.user_id,
        "name": name,
        "baymodel_id": model.id,
        "driver": driver.name,
        "generation": GENERATION,
        "stack_name": names.stack_name(name, bay_id, GENERATION),
        "node_count": body.node_count,
        "master_count": body.master_count,
        "create_timeout": body.bay_create_timeout,
        "spec": spec,
        "labels": spec["labels"],
        "discovery_url": body.discovery_url,
    }
    try:
        written = await _write(context, facts, model, columns, credential)
    except ClientFault:  # surely rolled back; of anything else we do not know whether the commit came through
        if credential is not None:
            await credentials.take_back(context, facts, credential)
        raise
    context.committed()
    return written


def check_kind(driver: Driver, kind: OperationKind) -> None:
    """Refuse what has no way to be done, instead of accepting it and failing later."""
    if kind not in FLOWS or kind.value not in driver.kinds:
        raise InvalidInput(f"{kind.value.capitalize()} is not supported by this driver.")


async def _check_our_role(context: Context, caller: Caller) -> None:
    """Refuse a project in which our service user may not act, with the command that would let it.

    Raises:
        Forbidden: the role is missing; the bay would fail at its first step.
    """
    try:
        await context.cloud.auth.token(caller.project_id)
    except RoleMissing as missing:
        raise Forbidden(missing.message) from None


async def _write(
    context: Context,
    facts: Facts,
    model: Baymodel,
    columns: dict[str, Any],
    credential: NodeCredential | None,
) -> Document:
    """The one transaction: quota, bay and its history, operation with steps, message."""
    bay_id: UUID = columns["id"]
    async with context.engine.begin() as conn:
        await quotas.hold_project(conn, facts.caller.project_id)
        await _check_quota(conn, context, facts.caller)
        if await baymodels.hold(conn, model.id) is None:  # deleted meanwhile
            raise _no_baymodel(str(model.id))
        await bays.insert_bay(conn, **columns)
        if credential is not None:
            await stacks.keep_credential(
                conn, bay_id=bay_id, generation=GENERATION, credential_id=credential.id, sealed=credential.sealed
            )
        await operations.enqueue(
            conn,
            bay_id=bay_id,
            kind=OperationKind.CREATE,
            request={"node_count": columns["node_count"], "master_count": columns["master_count"]},
            requested_by=facts.caller.user_id,
            timeout_minutes=columns["create_timeout"],
        )
        written = await documents.by_id(await documents.within(conn), BAYS, None, bay_id)
    assert written is not None  # noqa: S101 - written above, in the same transaction
    return written


async def _check_quota(conn: AsyncConnection, context: Context, caller: Caller) -> None:
    """Raises Forbidden when the project has as many bays as it may."""
    most = context.settings.bays_per_project
    if await quotas.count_bays(conn, caller.project_id) >= most:
        raise Forbidden(
            f"Resource limit exceeded: You have reached the maximum clusters per project, {most}. "
            "You may delete a cluster to make room for a new one."
        )


async def _baymodel(conn: AsyncConnection, caller: Caller, ident: str) -> Baymodel:
    """The baymodel that the bay is to be made of. A missing one is 400 here (contract §1.11)."""
    row_id = as_uuid(ident)
    found = await baymodels.find(conn, policy.scope(caller), baymodel_id=row_id, name=ident)
    if len(found) > 1:
        raise BAYMODEL.ambiguous()
    if not found:
        raise _no_baymodel(ident)
    return found[0]


def _no_baymodel(ident: str) -> InvalidInput:
    return InvalidInput(f"ClusterTemplate {ident} could not be found.", field="baymodel_id")
