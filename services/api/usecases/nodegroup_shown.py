"""What clients see of a nodegroup (contract §1.13)."""

from __future__ import annotations

from typing import Final

from services.api.request import Facts
from shared.db.repositories.nodegroups import MASTER, Nodegroup

LABELS_FROM: Final = 14
"""The microversion from which there are node_labels and node_taints."""


def brief(group: Nodegroup) -> dict[str, object]:
    """A group as lists show it."""
    flavor = "master_flavor_id" if group.role == MASTER else "flavor_id"
    return {
        "uuid": str(group.id),
        "name": group.name,
        "flavor_id": group.spec.get(flavor),
        "image_id": group.spec.get("image_id"),
        "node_count": group.node_count,
        "role": group.role,
        "is_default": group.is_default,
        "status": group.status,
        "stack_id": group.stack_id,
        "min_node_count": group.min_node_count,
        "max_node_count": group.max_node_count,
        "merge_labels": False,
    }


def full(group: Nodegroup, facts: Facts) -> dict[str, object]:
    """A group, whole. Its labels are the cluster's own, so that it differs from the cluster in none."""
    place = f"clusters/{group.bay_id}/nodegroups/{group.id}"
    shown = {
        "id": group.number,
        **brief(group),
        "cluster_id": str(group.bay_id),
        "project_id": group.project_id,
        "docker_volume_size": group.spec.get("docker_volume_size"),
        "labels": group.labels,
        "labels_added": {},
        "labels_overridden": {},
        "labels_skipped": {},
        "node_addresses": group.node_addresses,
        "status_reason": group.status_reason,
        "version": None,
        "links": [
            {"rel": "self", "href": f"{facts.base_url}/v1/{place}"},
            {"rel": "bookmark", "href": f"{facts.base_url}/{place}"},
        ],
        "created_at": group.created_at,
        "updated_at": group.updated_at,
    }
    if facts.version >= LABELS_FROM:
        shown |= {"node_labels": group.node_labels, "node_taints": group.node_taints}
    return shown
