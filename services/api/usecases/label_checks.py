"""Labels that name things of the cloud, zones and volume types (contract §2.5), and labels that must agree.

What else they say, drivers judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.domain.errors import InvalidInput
from shared.domain.scaling_labels import MAX_NODES, MIN_NODES
from shared.openstack.cloud import ProjectCloud

ZONE_LABEL: Final = "availability_zone"
MOST_ZONES: Final = 10
VOLUME_TYPE_LABELS: Final = ("docker_volume_type", "boot_volume_type", "etcd_volume_type")


def node_range(labels: Mapping[str, str]) -> None:
    """Check that autoscaling's range is one. Each number has been looked at by itself before.

    Raises:
        InvalidInput: the least is more than the most; the field is `labels/max_node_count`.
    """
    least, most = labels.get(MIN_NODES), labels.get(MAX_NODES)
    if least and most and int(most) < int(least):
        raise InvalidInput(
            f"Label {MAX_NODES} is {most}; it should be greater or equal to label {MIN_NODES}, which is {least}.",
            field=f"labels/{MAX_NODES}",
        )


async def volume_types(cloud: ProjectCloud, labels: Mapping[str, str]) -> None:
    """Check that Cinder has the volume types that labels name, by name or id. An empty label names none.

    Raises:
        InvalidInput: it does not have one of them; the field is `labels/<name>`.
        CloudError: Cinder refused or did not answer.
    """
    wanted = {name: labels[name] for name in VOLUME_TYPE_LABELS if labels.get(name)}
    if not wanted:
        return
    known = {word for one in await cloud.cinder.types() for word in (one.id, one.name)}
    for name, value in wanted.items():
        if value not in known:
            raise InvalidInput(
                f"Valid volume type could not be found. Label {name} is {value[:64]!r}, and Cinder shows no such type.",
                field=f"labels/{name}",
            )


async def zone(cloud: ProjectCloud, labels: Mapping[str, str]) -> None:
    """Check that Nova has the availability zone that the label names, and that it is in service.

    Raises:
        InvalidInput: it does not.
        CloudError: Nova refused or did not answer.
    """
    wanted = labels.get(ZONE_LABEL)
    if wanted and wanted not in (known := await cloud.nova.zones()):
        raise InvalidInput(
            f"The requested availability zone is not available. Label {ZONE_LABEL} is {wanted[:64]!r}, "
            f"and Nova shows {', '.join(sorted(known)[:MOST_ZONES]) or 'none'}.",
            field=f"labels/{ZONE_LABEL}",
        )
