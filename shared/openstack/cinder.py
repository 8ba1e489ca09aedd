"""Cinder: volume types for the gateway's checks, volumes that a bay left behind for the provisioner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import CloudError
from shared.domain.headroom import Allowance
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

    async def limits(self, project_id: str) -> dict[str, Allowance]:
        """The project's quotas and their use: volumes, volume_gb (names of `shared.domain.headroom`).

        With those of each volume type, unless the cloud keeps its quota sets from the token and tells totals only.
        """
        path = f"/os-quota-sets/{segment(project_id)}"
        try:
            reply = await self.session.call(SERVICE, "GET", path, params={"usage": "true"}, wants_json=True)
        except CloudError as error:
            if error.status not in {403, 404}:
                raise
            return await self._totals()
        quotas = reply.json().doc("quota_set")
        return {
            _named(kind, volume_type): _allowance(quotas.doc(key), "limit", "in_use", "reserved")
            for key in quotas.data
            for kind, _, volume_type in [key.partition("_")]
            if kind in _QUOTAS
        }

    async def _totals(self) -> dict[str, Allowance]:
        reply = await self.session.call(SERVICE, "GET", "/limits", wants_json=True)
        absolute = reply.json().doc("limits").doc("absolute")
        return {
            "volumes": _allowance(absolute, "maxTotalVolumes", "totalVolumesUsed"),
            "volume_gb": _allowance(absolute, "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
        }

    async def delete(self, volume_id: str) -> bool:
        """Begin the deletion; False when it was gone. 400: it is attached."""
        return await self.session.delete(SERVICE, f"/volumes/{segment(volume_id)}", resource=f"volume {volume_id}")


_QUOTAS: Final = {"volumes": "volumes", "gigabytes": "volume_gb"}
"""Cinder's names of quotas, and ours; Cinder appends `_<type>` to both where the quota is of one type."""


def _named(kind: str, volume_type: str) -> str:
    return f"{_QUOTAS[kind]}:{volume_type}" if volume_type else _QUOTAS[kind]


def _allowance(doc: Doc, limit: str, *used: str) -> Allowance:
    most = doc.number(limit)
    return Allowance(None if most < 0 else most, sum(doc.number(name, 0) for name in used))


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
