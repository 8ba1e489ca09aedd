"""All that is looked at before a bay is accepted, in Magnum's order (contract §1.10.5, §2.5). Nothing is written.

What Nova, Neutron, Cinder or Heat would refuse later is refused here: names that mean nothing, labels that make no
sense, a project's quotas in the cloud, and the stack's size, for which the stack is rendered once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, headroom, label_checks
from services.api.usecases.dry_run import Rehearsal, rehearse
from services.api.usecases.effective import Place, effective, facts_to_judge, labels_of, spec_of, wishes
from services.api.usecases.lookup import as_uuid
from shared.contracts.http.bays import NewBay
from shared.db.repositories import baymodels, quotas
from shared.domain import names
from shared.domain.bay import Baymodel
from shared.domain.errors import ClientFault, Forbidden, InvalidInput
from shared.domain.label_differences import LabelDifferences
from shared.domain.operation import FLOWS, OperationKind
from shared.drivers import registry
from shared.drivers.common.labels import judge_labels
from shared.drivers.contract import BayFacts, Driver
from shared.openstack.errors import RoleMissing
from shared.openstack.nova import Flavor
from shared.openstack.validate import Caller

NO_ZERO = "Resizing a nodegroup to zero is not supported in the provided microversion."


@dataclass(frozen=True)
class Plan:
    """A bay that may be made."""

    id: UUID
    name: str
    model: Baymodel
    driver: Driver
    labels: LabelDifferences
    spec: Mapping[str, object]
    judged: BayFacts
    """The bay as its driver judged it; what is known only later has stand-ins."""
    rehearsal: Rehearsal
    flavors: Mapping[str, Flavor]
    warnings: list[str]
    """What the requester should know, though it is accepted."""


async def plan(context: Context, facts: Facts, face: Face, body: NewBay, *, strange_key: bool = False) -> Plan:
    """Check a bay; see `create_bay.create` for what it raises.

    Key pairs belong to users, so whoever only rehearses may not have the one that is named: with `strange_key` the bay
    is planned without it, and a warning says so.
    """
    caller, settings = facts.caller, context.settings
    async with context.engine.connect() as conn:
        await check_quota(conn, context, caller)
        model = await _template(context, conn, facts, face, body.template)
    if body.node_count == 0 and facts.version < face.zero_nodes_from:
        raise InvalidInput(NO_ZERO, field="node_count")
    attributes = effective(body, model, face, default_flavor=settings.default_flavor)
    labels = labels_of(body, model)
    cloud = context.cloud_of(caller, facts.token)
    wanted = replace(wishes(attributes), boots_from_volume=checks.boots_from_volume(labels.effective))
    found = await checks.look_up(cloud, wanted, strange_key=strange_key)
    driver = driver_of(attributes, found.os_distro, model.coe)
    check_kind(driver, OperationKind.CREATE)
    bay_id = uuid4()
    name = body.name or names.automatic(secrets.randbelow(24 * 24), face.suffix)
    spec = spec_of(attributes, found)
    place = Place(f"{facts.base_url}/v1", settings.keystone_url, settings.region)
    judged = facts_to_judge(
        spec,
        bay_id=bay_id,
        name=name,
        project_id=caller.project_id,
        node_count=body.node_count,
        master_count=body.master_count,
        timeout=body.timeout,
        place=place,
    )
    driver.validate(judged)
    checks.check_balancer(caller.endpoints, attributes)
    warnings = judge_labels(driver, judged.labels) + driver.advice(judged)
    label_checks.node_range(judged.labels)
    if wanted.keypair is not None and found.keypair is None:
        warnings.append(f"Unable to find keypair {wanted.keypair[:64]} among yours; the rehearsal is without it.")
    rehearsal = rehearse(driver, judged)
    flavors = headroom.flavors_found(wanted, found)
    await checks.together(
        label_checks.zone(cloud, judged.labels),
        label_checks.volume_types(cloud, judged.labels),
        headroom.check(
            cloud, caller.project_id, rehearsal.footprint, flavors, group_members=headroom.group_members(judged)
        ),
        check_our_role(context, caller.project_id),
    )
    return Plan(bay_id, name, model, driver, labels, spec, judged, rehearsal, flavors, warnings)


async def check_quota(conn: AsyncConnection, context: Context, caller: Caller) -> None:
    """Raises Forbidden when the project has as many bays as it may."""
    most = await quotas.limit_of(conn, caller.project_id, default=context.settings.bays_per_project)
    if await quotas.count_bays(conn, caller.project_id) >= most:
        raise Forbidden(
            f"Resource limit exceeded: You have reached the maximum clusters per project, {most}. "
            "You may delete a cluster to make room for a new one."
        )


def no_template(facts: Facts, face: Face, ident: str) -> ClientFault:
    """The error for a missing template: 400 for bays at every microversion, for clusters up to 1.9, then 404."""
    missing = face.template.missing(ident)
    if facts.version >= face.missing_template_is_404_from:
        return missing
    return InvalidInput(missing.message, field=face.template_field)


def driver_of(attributes: Mapping[str, object], os_distro: str, coe: str) -> Driver:
    """The driver that a template names, else the one for its triple.

    Raises:
        InvalidInput: there is none, or the one that is named is not for this triple.
    """
    key = (str(attributes["server_type"]), os_distro, coe)
    named = attributes.get("driver")
    if not named:
        return registry.find(*key)
    driver = registry.by_name(str(named))
    if driver.key != key:
        raise InvalidInput(f"Driver {named} is not for cluster type ({', '.join(key)}).", field="driver")
    return driver


def check_kind(driver: Driver, kind: OperationKind) -> None:
    """Refuse what has no way to be done, instead of accepting it and failing later."""
    if kind not in FLOWS or kind.value not in driver.kinds:
        raise InvalidInput(f"{kind.value.capitalize()} is not supported by this driver.")


async def _template(context: Context, conn: AsyncConnection, facts: Facts, face: Face, ident: str) -> Baymodel:
    """The template that the bay is to be made of."""
    scope = context.policy.scope(facts.caller, face.template.rule("get_one_all_projects"))
    found = await baymodels.find(conn, scope, baymodel_id=as_uuid(ident), name=ident)
    if len(found) > 1:
        raise face.template.ambiguous()
    if not found:
        raise no_template(facts, face, ident)
    return found[0]


async def check_our_role(context: Context, project_id: str) -> None:
    """Refuse a project in which our service user may not act, with the command that would let it.

    Raises:
        Forbidden: the role is missing; the operation would fail at its first step.
    """
    try:
        await context.cloud.auth.token(project_id)
    except RoleMissing as missing:
        raise Forbidden(missing.message) from None
