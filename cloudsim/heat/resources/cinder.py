"""OS::Cinder types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat.errors import ResourceFailure
from cloudsim.heat.resources.base import Kind, Props, Stored, Waiting, find, given
from cloudsim.heat.stack import Resource

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine


class Volume(Stored):
    """OS::Cinder::Volume."""

    record_kind = "volume"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Fields as Cinder names them."""
        attrs = super().attrs(engine, resource, props) | given(
            props, "size", "description", "volume_type", "availability_zone"
        )
        return attrs | {"status": "available", "metadata": dict(props.get("metadata") or {})}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """As a POST to Cinder; raises its refusals."""
        attrs = self.attrs(engine, resource, props)
        if image := props.get("image"):
            attrs["image"] = find(engine, "image", image, resource.stack.project_id).id
        resource.physical_id = engine.world.create_volume(resource.stack.project_id, {"size": 0, **attrs}).id
        return None

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """A volume grows but does not shrink."""
        record = self.record(resource)
        if record is not None and "size" in changed and int(props.get("size") or 0) < int(record.get("size") or 0):
            raise ResourceFailure("NotSupported", "Shrinking volume is not supported.")
        return super().update(engine, resource, props, changed - {"status"})

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Heat's older names for two fields."""
        return super().value_of(
            resource, {"display_name": "name", "display_description": "description"}.get(name, name)
        )


class VolumeAttachment(Kind):
    """OS::Cinder::VolumeAttachment."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Attach."""
        self._attach(engine, resource, props)
        return None

    @staticmethod
    def _attach(engine: Engine, resource: Resource, props: Props) -> None:
        device = props.get("mountpoint") or "/dev/vdb"
        made = engine.world.attach_volume(resource.stack.project_id, props["instance_uuid"], props["volume_id"], device)
        resource.physical_id = made.id

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Detach and attach."""
        self.delete(engine, resource)
        self._attach(engine, resource, props)
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Detach."""
        record = engine.world.store.get("volume_attachment", resource.physical_id or "")
        if record is not None:
            engine.world.detach_volume(record)
        return None

    @override
    def exists(self, engine: Engine, resource: Resource) -> bool:
        """Whether it is attached."""
        return engine.world.store.get("volume_attachment", resource.physical_id or "") is not None
