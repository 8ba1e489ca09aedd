"""Glance: images for the gateway's checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.domain.errors import CloudError, Conflict, Forbidden
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, addressable, segment

SERVICE: Final = "image"


@dataclass(frozen=True, slots=True)
class Image:
    """An image; `os_distro` chooses the driver, None when the image does not say. `min_disk_gb` in GiB."""

    id: str
    name: str
    status: str
    os_distro: str | None
    min_disk_gb: int
    min_ram_mb: int


@dataclass(frozen=True, slots=True)
class GlanceClient:
    """Glance as one caller, or in one project."""

    session: CloudSession

    async def find_image(self, ident: str) -> Image | None:
        """By id, else by name; None: neither (the words are those of contract §2.5).

        Raises:
            Conflict: several images have this name.
            Forbidden: it is there, but not for this token.
        """
        if not ident:
            return None
        try:
            if addressable(ident):
                found = await self.session.get(SERVICE, f"/images/{segment(ident)}", resource=f"image {ident}")
                if found is not None:
                    return _image(found)
            listed = await self.session.pages(SERVICE, "/images", "images", params={"name": ident})
        except CloudError as error:
            if error.status == 403:
                raise Forbidden(f"Not authorized for image {ident}.") from error
            raise
        named = [image for image in map(_image, listed) if image.name == ident]
        if len(named) > 1:
            raise Conflict(f"Multiple images exist with same name '{ident}'. Please use the image ID instead.")
        return named[0] if named else None


def _image(doc: Doc) -> Image:
    return Image(
        id=doc.text("id"),
        name=doc.maybe("name") or "",
        status=doc.text("status"),
        os_distro=doc.maybe("os_distro"),
        min_disk_gb=doc.number("min_disk", 0),
        min_ram_mb=doc.number("min_ram", 0),
    )
