"""Cinder: volume types for the gateway's checks, volumes that a bay left behind for the provisioner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, segment

SERVICE: Final = "volumev3"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume and the servers that it is attached to."""

    id: str
    name: str
    status: str
    size_gb: int
    metadata: Mapping[str, str]
    server_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A volume type."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CinderClient:
    """Cinder in one project, or as one caller."""

    session: CloudSession

    async def volumes(self, *, name_prefix: str = "", metadata: Mapping[str, str] | None = None) -> list[Volume]:
        """The project's volumes whose name begins so and whose metadata hold all of `metadata`."""
        wanted = (metadata or {}).items()
        listed = map(_volume, await self.session.pages(SERVICE, "/volumes/detail", "volumes"))
        return [one for one in listed if one.name.startswith(name_prefix) and wanted <= one.metadata.items()]

    async def types(self) -> list[VolumeType]:
        """The volume types that the token sees."""
        listed = await self.session.pages(SERVICE, "/types", "volume_types")
        return [VolumeType(one.text("id"), one.text("name")) for one in listed]

    async def delete(self, volume_id: str) -> bool:
        """Begin the deletion; False when it was gone. 400: it is attached."""
        return await self.session.delete(SERVICE, f"/volumes/{segment(volume_id)}", resource=f"volume {volume_id}")


def _volume(doc: Doc) -> Volume:
    attachments = doc.docs("attachments") if "attachments" in doc.data else []
    return Volume(
        id=doc.text("id"),
        name=doc.maybe("name") or "",
        status=doc.text("status"),
        size_gb=doc.number("size"),
        metadata=doc.strings("metadata"),
        server_ids=tuple(one.text("server_id") for one in attachments),
    )
