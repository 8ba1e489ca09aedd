"""`block_device_mapping_v2` of OS::Nova::Server: what Heat refuses of it, and how it tells Nova.

Heat boots from every volume, snapshot or image in the list whose `boot_index` is 0 or not given, and deletes none of
these volumes with the server unless it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudsim.heat.errors import StackValidationFailed
from cloudsim.heat.resources.base import Props, find
from cloudsim.world import BlockDevice

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

_VOLUMES = ("volume_id", "snapshot_id", "image")
_SOURCES = (*_VOLUMES, "swap_size", "ephemeral_size")
_ONE_OF = "volume_id, snapshot_id, image_id, swap_size, ephemeral_size or ephemeral_format"


def check(name: str, props: Props) -> None:
    """Whether there is exactly one thing to boot from. Raises StackValidationFailed.

    A null for the image is an empty name (before template version 2021-04-16), and there is no image of that name.
    """
    place = f"resources.{name}.properties"
    if "image" in props and props["image"] is None:
        raise StackValidationFailed(
            f"Property error: : {place}.image: : Error validating value '': No images matching {{'name': ''}}."
        )
    given = props.get("block_device_mapping_v2")
    mappings = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    if any("volume_type" in one and one["volume_type"] is None for one in mappings):
        raise StackValidationFailed(
            f"Property error: : {place}.block_device_mapping_v2: : Error validating value '': "
            "The VolumeType () could not be found."
        )
    for one in mappings:
        _check_sources(one)
    bootable = sum(_boots(one) for one in mappings) + (props.get("image") is not None)
    if not bootable and (given is None or isinstance(given, list)):
        raise StackValidationFailed(f"Neither image nor bootable volume is specified for instance {name}")
    if mappings and bootable > 1:
        raise StackValidationFailed(f"Multiple bootable sources for instance {name}.")


def _check_sources(mapping: Mapping[str, Any]) -> None:
    sources = [key for key in _SOURCES if _source(mapping, key) is not None]
    if len(sources) > 1:
        raise StackValidationFailed(f"Cannot define the following properties at the same time: {', '.join(sources)}.")
    if not sources:
        raise StackValidationFailed(f"Either {_ONE_OF} must be specified.")


def _source(mapping: Mapping[str, Any], key: str) -> Any:
    """A source by its present name; the image has an older one."""
    return mapping.get(key, mapping.get("image_id") if key == "image" else None)


def _boots(mapping: Mapping[str, Any]) -> bool:
    from_volume = any(_source(mapping, key) is not None for key in _VOLUMES)
    return from_volume and mapping.get("boot_index") in (None, 0, "0")


def devices(engine: Engine, project_id: str, props: Props) -> list[BlockDevice]:
    """What Nova is told; swap and ephemeral disks are left out, as nothing of them can be seen."""
    found = []
    for one in props.get("block_device_mapping_v2") or ():
        image = _source(one, "image")
        if image is None and one.get("volume_id") is None:
            continue
        index = one.get("boot_index")
        found.append(
            BlockDevice(
                volume=one.get("volume_id"),
                image=find(engine, "image", image, project_id).id if image is not None else None,
                size=int(one.get("volume_size") or 0),
                volume_type=one.get("volume_type"),
                boots=index is None or int(index) == 0,
                dies_with_server=bool(one.get("delete_on_termination", False)),
                device=one.get("device_name"),
            )
        )
    return found
