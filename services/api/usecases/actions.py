"""Actions on clusters: resize and upgrade (contract §1.10.7, §1.10.8)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import CLUSTER, CLUSTERTEMPLATE
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup, resize
from services.api.usecases.growth import fitting
from services.api.usecases.lookup import as_uuid
from services.api.usecases.plan_bay import check_kind, driver_of
from shared.contracts.http.clusters import ClusterResize, ClusterUpgrade
from shared.db.repositories import baymodels, nodegroups, operations
from shared.domain.bay import Bay, Baymodel
from shared.domain.errors import Conflict, InvalidInput, NotFound
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from shared.drivers import registry

_UPGRADE_FROM: Final = 8
_MUST_MATCH: Final = ("server_type", "network_driver", "tls_disabled")


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


async def ask_upgrade(context: Context, facts: Facts, ident: str, body: ClusterUpgrade) -> UUID:
    """Accept that a cluster becomes like another template, if its driver can do that; the cluster's id.

    Raises:
        NotFound: no such cluster, template or nodegroup.
        Conflict: the template does not fit.
        ClientFault: with Magnum's sentence; nothing was changed.
    """
    if facts.version < _UPGRADE_FROM:
        raise InvalidInput("Cluster upgrade is not supported in the provided microversion.")
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, ident, "upgrade")
        model = await _template(context, facts, conn, body.cluster_template)
        default = await _is_default(conn, bay, body.nodegroup)
        if not default and model.id != bay.baymodel_id:
            raise _unfit("a nodegroup can only be upgraded to the cluster's own template, upgrade the cluster first")
        _check_fit(bay, model)
        check_kind(registry.by_name(bay.driver), OperationKind.UPGRADE)
        await operations.ask(
            conn,
            bay,
            kind=OperationKind.UPGRADE,
            request={**body.model_dump(), "cluster_template": str(model.id)},
            requested_by=facts.caller.user_id,
            timeout_minutes=bay.create_timeout,
            busy=context.settings.busy,
            door=Door.UPGRADE,
            word=CLUSTER.one,
        )
    context.committed()
    return bay.id


async def _template(context: Context, facts: Facts, conn: AsyncConnection, ident: str) -> Baymodel:
    scope = context.policy.scope(facts.caller, CLUSTERTEMPLATE.rule("get_one_all_projects"))
    found = await baymodels.find(conn, scope, baymodel_id=as_uuid(ident), name=ident)
    if len(found) > 1:
        raise CLUSTERTEMPLATE.ambiguous()
    if not found:
        raise CLUSTERTEMPLATE.missing(ident)
    return found[0]


async def _is_default(conn: AsyncConnection, bay: Bay, ident: str | None) -> bool:
    """Whether the upgrade is about the two default groups."""
    if ident is None:
        return True
    group = await nodegroups.get(conn, bay.id, ident)
    if group is None:
        raise NotFound(f"Nodegroup {ident} could not be found.", field="nodegroup")
    return group.is_default


def _check_fit(bay: Bay, model: Baymodel) -> None:
    """Whether the bay could have been made of that template, but for what an upgrade changes.

    Raises:
        Conflict: with the first thing that differs.
    """
    if model.coe != bay.spec["coe"]:
        raise _unfit(f"its coe is {model.coe}, the cluster's is {bay.spec['coe']}")
    for name in _MUST_MATCH:
        if model.attributes.get(name) != bay.spec.get(name):
            raise _unfit(f"its {name} is {model.attributes.get(name)}, the cluster's is {bay.spec.get(name)}")
    try:
        driver = driver_of(model.attributes, str(model.attributes["cluster_distro"]), model.coe)
    except InvalidInput as error:
        raise _unfit(error.message.rstrip(".")) from None
    if driver.name != bay.driver:
        raise _unfit(f"it is for driver {driver.name}, the cluster's is {bay.driver}")


def _unfit(why: str) -> Conflict:
    return Conflict(f"Cluster Template is not valid for upgrade: {why}.", field="cluster_template")
