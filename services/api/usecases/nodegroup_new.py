"""All that is looked at before a nodegroup is accepted, with the caller's token as for a bay. Nothing is written.

A group has nodes of another size, image, disk or place; what makes the cluster one, such as its release and its
networks, is the cluster's for all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, headroom, label_checks
from services.api.usecases.checks import Found, Wishes
from services.api.usecases.dry_run import rehearse_pool
from services.api.usecases.effective import Place, facts_of_bay
from services.api.usecases.plan_bay import check_our_role
from shared.contracts.http.nodegroups import NodegroupCreate
from shared.db.repositories.nodegroups import Nodegroup
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.domain.label_differences import LabelDifferences, differences
from shared.drivers import registry
from shared.drivers.common.labels import judge_labels
from shared.drivers.contract import BayFacts, Driver

OF_A_GROUP: Final = frozenset({"availability_zone", "boot_volume_size", "boot_volume_type", "docker_volume_type"})
"""Labels that a nodegroup may have otherwise than its cluster."""


@dataclass(frozen=True)
class NewGroup:
    """A group that may be made."""

    columns: Mapping[str, object]
    """Its row, but for what every row has."""
    warnings: list[str]
    """What the requester should know, though it is accepted."""


async def plan(
    context: Context, facts: Facts, bay: Bay, cluster_labels: Mapping[str, str], body: NodegroupCreate
) -> NewGroup:
    """Check a group against the cloud and against what its driver can make.

    Raises:
        ClientFault: with the first thing that is wrong.
        CloudError: the cloud does not tell.
    """
    driver = registry.by_name(bay.driver)
    labels = differences(cluster_labels, body.labels, body.merge_labels)
    _check_labels(driver, cluster_labels, labels)
    cloud = context.cloud_of(facts.caller, facts.token)
    wishes = _wishes(bay, body, {**cluster_labels, **labels.effective})
    found = await checks.look_up(cloud, wishes)
    _check_image(driver, wishes, found)
    columns = _columns(bay, body, labels, found)
    judged = of_group(facts_of_bay(bay, body.node_count, place_of(context, facts)), columns)
    driver.validate(judged)
    rehearsal = rehearse_pool(driver, judged)
    await check_our_role(context, bay.project_id)
    if bay.project_id == facts.caller.project_id:
        await checks.together(
            label_checks.zone(cloud, judged.labels),
            label_checks.volume_types(cloud, judged.labels),
            headroom.check(cloud, bay.project_id, rehearsal.footprint, headroom.flavors_found(wishes, found)),
        )
    return NewGroup(columns, judge_labels(driver, labels.effective))


def of_group(facts: BayFacts, group: Mapping[str, object]) -> BayFacts:
    """A bay as its driver is to see it for the nodes of one group; `group` by the names of the row."""
    own = {name: group[name] for name in ("flavor_id", "image_id", "docker_volume_size") if group[name] is not None}
    labels, marks, taints = (group[name] for name in ("labels", "node_labels", "node_taints"))
    return dataclasses.replace(
        facts,
        **own,  # type: ignore[arg-type] # as the row has them
        labels={**facts.labels, **(labels if isinstance(labels, Mapping) else {})},
        nodegroup=str(group["name"]),
        nodegroup_role=str(group["role"]),
        node_labels=marks if isinstance(marks, Mapping) else {},
        node_taints=tuple(taints) if isinstance(taints, list) else (),
    )


def facts_of_group(bay: Bay, group: Nodegroup, node_count: int, place: Place) -> BayFacts:
    """The same of a group that stands, with so many nodes."""
    return of_group(facts_of_bay(bay, node_count, place), vars(group))


def place_of(context: Context, facts: Facts) -> Place:
    """Where nodes will find things, as far as the gateway knows."""
    return Place(f"{facts.base_url}/v1", context.settings.keystone_url, context.settings.region)


def _check_labels(driver: Driver, of_cluster: Mapping[str, str], labels: LabelDifferences) -> None:
    """Refuse another value of a label that takes effect for the whole cluster; one left out is the cluster's."""
    for name, value in labels.effective.items():
        whole = name in driver.label_rules and name not in OF_A_GROUP
        if whole and value != of_cluster.get(name, driver.label_rules[name].default):
            raise InvalidInput(
                f"Label {name} of a nodegroup must be its cluster's; those that may differ: "
                f"{', '.join(sorted(OF_A_GROUP & driver.label_rules.keys()))}.",
                field=f"labels/{name}",
            )


def _wishes(bay: Bay, body: NodegroupCreate, labels: Mapping[str, str]) -> Wishes:
    return Wishes(
        image=body.image_id or str(bay.spec["image_id"]),
        flavor=body.flavor_id or str(bay.spec["flavor_id"]),
        boots_from_volume=checks.boots_from_volume(labels),
    )


def _check_image(driver: Driver, wishes: Wishes, found: Found) -> None:
    """Nodes of one cluster share what is put on them, which is for one distribution."""
    wanted = driver.key[1]
    if found.os_distro != wanted:
        raise InvalidInput(
            f"Image {wishes.image} has os_distro {found.os_distro}; the nodes of this cluster need {wanted}.",
            field="image_id",
        )


def _columns(bay: Bay, body: NodegroupCreate, labels: LabelDifferences, found: Found) -> dict[str, object]:
    size = bay.spec.get("docker_volume_size") if body.docker_volume_size is None else body.docker_volume_size
    return {
        "name": body.name,
        "role": body.role,
        "node_count": body.node_count,
        "flavor_id": body.flavor_id or bay.spec["flavor_id"],
        "image_id": found.image.id,
        "docker_volume_size": size,
        "labels": labels.effective,
        "labels_added": labels.added,
        "labels_overridden": labels.overridden,
        "labels_skipped": labels.skipped,
        "merge_labels": body.merge_labels,
        "max_node_count": body.max_node_count or None,
        "node_labels": dict(body.node_labels or {}),
        "node_taints": [taint.model_dump(exclude_none=True) for taint in body.node_taints or []],
    }
