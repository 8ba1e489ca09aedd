"""A cluster is to be like another template (contract §1.10.8): what may differ, and what that does to whom.

Only nodes are replaced. What a cluster has in common with its masters and its network stays what it is, so a template
that differs there does not fit. Masters cannot be replaced yet: without a nodegroup the default groups are both meant,
so what would change masters is refused then, and with the workers' group named they keep what they have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, headroom, label_checks, lookup, one_cluster
from services.api.usecases.dry_run import rehearse_pool
from services.api.usecases.effective import facts_of_bay
from services.api.usecases.nodegroup_new import facts_of_group, place_of
from services.api.usecases.plan_bay import check_kind, check_our_role
from services.api.usecases.upgrade_fit import Target, group_of, meant, merged, template_of, unfit
from shared.contracts.http.clusters import ClusterUpgrade
from shared.db.repositories import operations, past, pools, stacks
from shared.db.repositories.nodegroups import Nodegroup
from shared.domain.bay import Bay, Node
from shared.domain.bay_state import BayStatus
from shared.domain.errors import Conflict, InvalidInput
from shared.domain.label_differences import differences
from shared.domain.operation import OperationKind, OperationState
from shared.domain.queue import Door
from shared.domain.upgrade import POOL, SPEC, VERSION_LABEL, batches
from shared.drivers import registry
from shared.drivers.common.labels import judge_labels
from shared.drivers.contract import BayFacts

_UPGRADE_FROM: Final = 8
_TOO_OLD: Final = (
    "This cluster was made by an earlier release, whose clusters cannot be upgraded: its stack does not tell what new "
    "nodes need. Make a new cluster of the template, and move what runs here to that."
)
_UNDER_WAY: Final = "An upgrade of this cluster is under way already."


@dataclass(frozen=True)
class Plan:
    """An upgrade that may be made."""

    bay: Bay
    group: Nodegroup
    target: Target
    warnings: list[str]

    @property
    def spec(self) -> dict[str, object]:
        """What the new nodes are made of."""
        return self.target.spec

    def request(self, body: ClusterUpgrade, node_count: int) -> dict[str, object]:
        """As the operation has it."""
        template = self.target.model.attributes.get("labels")
        labels = self.spec["labels"]
        found = differences(
            template if isinstance(template, Mapping) else None, labels if isinstance(labels, Mapping) else {}, False
        )
        return {
            "cluster_template": str(self.target.model.id),
            "max_batch_size": body.max_batch_size or 1,
            "nodegroup": self.group.name,
            "node_count": node_count,
            SPEC: self.spec,
            "labels": {
                "labels": found.effective,
                "labels_added": found.added,
                "labels_overridden": found.overridden,
                "labels_skipped": found.skipped,
            },
        }


async def ask(context: Context, facts: Facts, ident: str, body: ClusterUpgrade) -> UUID:
    """Accept that nodes of a cluster become like another template; the cluster's id.

    Raises:
        NotFound: no such cluster, template or nodegroup.
        Conflict: the template does not fit, or an upgrade is under way, or as many operations wait as may.
        Forbidden: the new nodes of one batch do not fit into the project's quotas.
        ClientFault: with Magnum's sentence; nothing was changed.
        CloudError: the cloud does not tell; nothing was changed.
    """
    _check_version(facts)
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, ident, "upgrade")
    planned = await _plan(context, facts, bay, body)
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, str(bay.id), "upgrade")
        if (bay.baymodel_id, bay.spec) != (planned.bay.baymodel_id, planned.bay.spec):
            raise Conflict("The cluster has changed meanwhile. Ask again.")
        group = await group_of(conn, bay, str(planned.group.id))
        await _check_state(context, conn, bay, group)
        size = body.max_batch_size or 1
        await operations.ask(
            conn,
            bay,
            kind=OperationKind.UPGRADE,
            request=planned.request(body, group.node_count),
            requested_by=facts.caller.user_id,
            timeout_minutes=bay.create_timeout * max(1, batches(group.node_count, size)),
            busy=context.settings.busy,
            door=Door.UPGRADE,
            word=CLUSTER.one,
            warnings=planned.warnings,
        )
    context.committed()
    return bay.id


async def dry_run(context: Context, facts: Facts, ident: str, body: ClusterUpgrade) -> dict[str, object]:
    """What the upgrade would do, after the same checks and changing nothing. Raises what `ask` raises."""
    _check_version(facts)
    bay = await one_cluster.seen(context, facts.caller, ident, CLUSTER.rule("dry_run"))
    planned = await _plan(context, facts, bay, body)
    async with context.engine.connect() as conn:
        await _check_state(context, conn, bay, planned.group)
        nodes = await _old(conn, planned)
    size, release = body.max_batch_size or 1, planned.target.release
    names = [node.name for node in nodes]
    return {
        "cluster_template": str(planned.target.model.id),
        "nodegroup": planned.group.name,
        "node_count": planned.group.node_count,
        "max_batch_size": size,
        "batches": [names[at : at + size] for at in range(0, len(names), size)],
        "changes": {name: {"from": old, "to": new} for name, (old, new) in planned.target.changes.items()},
        "version": {"label": VERSION_LABEL, "from": release[0], "to": release[1], "verdict": "ok"},
        "masters": "stay as they are",
        "warnings": planned.warnings,
    }


def _check_version(facts: Facts) -> None:
    if facts.version < _UPGRADE_FROM:
        raise InvalidInput("Cluster upgrade is not supported in the provided microversion.")


async def _plan(context: Context, facts: Facts, bay: Bay, body: ClusterUpgrade) -> Plan:
    """Check everything that does not change under us, and then against the cloud."""
    async with context.engine.connect() as conn:
        model, old = await template_of(context, facts, conn, body.cluster_template, bay)
        group = await group_of(conn, bay, body.nodegroup)
        target = meant(bay, group, model, old, default_flavor=context.settings.default_flavor)
        check_kind(registry.by_name(bay.driver), OperationKind.UPGRADE)
        if not await pools.possible(conn, bay.id, bay.generation):
            raise Conflict(_TOO_OLD)
        await _check_state(context, conn, bay, group)
    cloud = context.cloud_of(facts.caller, facts.token)
    found = await checks.look_up(cloud, target.wishes())
    target = merged(target, found, masters_too=body.nodegroup is None)
    more = min(body.max_batch_size or 1, max(group.node_count, 1))
    judged = _judged(context, facts, bay, group, target, more)
    driver = registry.by_name(bay.driver)
    try:
        driver.validate(judged)
        rehearsal = rehearse_pool(driver, judged)
    except InvalidInput as error:
        raise unfit(error.message.rstrip(".")) from None
    await check_our_role(context, bay.project_id)
    if bay.project_id == facts.caller.project_id:
        await checks.together(
            label_checks.zone(cloud, judged.labels),
            label_checks.volume_types(cloud, judged.labels),
            headroom.check(cloud, bay.project_id, rehearsal.footprint, headroom.flavors_found(target.wishes(), found)),
        )
    return Plan(bay, group, target, judge_labels(driver, judged.labels))


def _judged(context: Context, facts: Facts, bay: Bay, group: Nodegroup, target: Target, node_count: int) -> BayFacts:
    """The new nodes of one batch, as the driver judges them."""
    place = place_of(context, facts)
    if group.is_default:
        return facts_of_bay(dataclasses.replace(bay, spec={**bay.spec, **target.spec}), node_count, place)
    return facts_of_group(bay, dataclasses.replace(group, **target.spec), node_count, place)  # type: ignore[arg-type]


async def _check_state(context: Context, conn: AsyncConnection, bay: Bay, group: Nodegroup) -> None:
    """One upgrade at a time, of a cluster that stands; after a failed change only if that was an upgrade.

    Raises:
        InvalidInput, Conflict.
    """
    operations.check_state(bay, Door.UPGRADE, context.settings.busy, CLUSTER.one)
    if any(one.kind is OperationKind.UPGRADE for one in await operations.live(conn, bay.id)):
        raise Conflict(_UNDER_WAY)
    if bay.status is BayStatus.UPDATE_FAILED:
        earlier = await past.upgrade_before(conn, bay.id, None, group.name)
        if earlier is None or earlier.state is not OperationState.FAILED:
            raise InvalidInput(
                f'{Door.UPGRADE.value} a {CLUSTER.one} when status is "{bay.status.value}" is not supported.'
            )


async def _old(conn: AsyncConnection, planned: Plan) -> Sequence[Node]:
    """The nodes that would be replaced, in that order. Those that a try which stopped has made are not, as long as the
    same upgrade would go on with them: in the newest pool."""
    earlier = await past.upgrade_before(conn, planned.bay.id, None, planned.group.name)
    nodes = await stacks.nodes_of(conn, planned.bay.id, planned.group.name)
    made = None
    if earlier is not None and earlier.state is OperationState.FAILED:
        wanted = {"cluster_template": str(planned.target.model.id), SPEC: planned.spec}
        if all(earlier.request.get(name) == value for name, value in wanted.items()):
            newest = (await pools.of_bay(conn, planned.bay.id, planned.group.name))[-1:]
            made = earlier.memo.get(POOL) if [one.number for one in newest] == [earlier.memo.get(POOL)] else None
    return [node for node in sorted(nodes, key=lambda one: (one.pool, one.position)) if node.pool != made]
