"""Barbican: secrets of our own service project. A payload never shows in a `repr`, a log line or an error."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from shared.domain.errors import CloudError
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, segment

SERVICE: Final = "key-manager"
_PAGE: Final = 100
"""Barbican's own limit of a page; without asking it gives 10."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without what is in it."""

    id: str
    ref: str
    name: str
    status: str
    created: str
    """In whole seconds, by Barbican's clock; sorts as text."""


@dataclass(frozen=True, slots=True)
class BarbicanClient:
    """Barbican in one project. Names are not unique there: look before you store, by a name of your own."""

    session: CloudSession

    async def store(self, name: str, payload: bytes, kind: Literal["private", "opaque"] = "opaque") -> str:
        """Make a secret; its address. A name that is there already is no hindrance."""
        body = {
            "name": name,
            "secret_type": kind,
            "payload": base64.b64encode(payload).decode(),
            "payload_content_type": _BYTES,
            "payload_content_encoding": "base64",
        }
        made = await self.session.send(SERVICE, "POST", "/secrets", body, resource=f"secret {name}")
        return made.text("secret_ref")

    async def named(self, name: str) -> list[Secret]:
        """The project's secrets of exactly this name, the oldest first; of equal age the one with the lowest id."""
        found: list[Secret] = []
        while True:
            params = {"name": name, "limit": str(_PAGE), "offset": str(len(found))}
            reply = await self.session.call(SERVICE, "GET", "/secrets", params=params, wants_json=True)
            page = [_secret(one) for one in reply.json().docs("secrets")]
            found += page
            if len(page) < _PAGE:
                return sorted((one for one in found if one.name == name), key=lambda one: (one.created, one.id))

    async def payload(self, ref: str) -> bytes | None:
        """What is in the secret at this address; None when it is gone, or has nothing in it."""
        secret = secret_id(ref)
        path = f"/secrets/{segment(secret)}/payload"
        try:
            reply = await self.session.call(
                SERVICE, "GET", path, headers={"Accept": _BYTES}, resource=f"secret {secret}"
            )
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return reply.body

    async def delete(self, ref: str) -> bool:
        """Delete the secret at this address for good; False when it was gone."""
        secret = secret_id(ref)
        return await self.session.delete(SERVICE, f"/secrets/{segment(secret)}", resource=f"secret {secret}")


_BYTES: Final = "application/octet-stream"


def secret_id(ref: str) -> str:
    """The id in a secret's address. Of the address nothing else is used: the host is the catalog's business."""
    return urlsplit(ref).path.rstrip("/").rpartition("/")[2]


def _secret(doc: Doc) -> Secret:
    ref = doc.text("secret_ref")
    return Secret(secret_id(ref), ref, doc.maybe("name") or "", doc.text("status"), doc.text("created"))
