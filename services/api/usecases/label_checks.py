"""Labels that name things of the cloud: volume types (contract §2.5). What else labels say, their driver judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.domain.errors import InvalidInput
from shared.openstack.cloud import ProjectCloud

VOLUME_TYPE_LABELS: Final = ("docker_volume_type", "boot_volume_type", "etcd_volume_type")


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
