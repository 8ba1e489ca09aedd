"""What clients see of a nodegroup (contract §1.13)."""

from __future__ import annotations

from typing import Final

from services.api.request import Facts
from shared.db.repositories.nodegroups import Nodegroup

LABELS_FROM: Final = 14
"""The microversion from which there are node_labels and node_taints."""


def brief(group: Nodegroup) -> dict[str, object]:
    """A group as lists show it."""
    return {
        "uuid": str(group.id),
        "name": group.name,
        "flavor_id": group.flavor_id,
        "image_id": group.image_id,
        "node_count": group.node_count,
        "role": group.role,
        "is_default": group.is_default,
        "status": group.status,
        "stack_id": group.stack_id,
        "min_node_count": group.min_node_count,
        "max_node_count": group.max_node_count,
        "merge_labels": group.merge_labels,
    }


def full(group: Nodegroup, facts: Facts) -> dict[str, object]:
    """A group, whole. The labels of a default one are the cluster's own, so that it differs from it in none."""
    place = f"clusters/{group.bay_id}/nodegroups/{group.id}"
    shown = {
        "id": group.number,
        **brief(group),
        "cluster_id": str(group.bay_id),
        "project_id": group.project_id,
        "docker_volume_size": group.docker_volume_size,
        "labels": group.labels,
        "labels_added": group.labels_added,
        "labels_overridden": group.labels_overridden,
        "labels_skipped": group.labels_skipped,
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
