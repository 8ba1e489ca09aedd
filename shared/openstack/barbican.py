"""Barbican: secrets of our own service project. A payload never shows in a `repr`, a log line or an error."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from shared.domain.errors import CloudError
from shared.openstack.answers import Doc
from shared.openstack.errors import Rubbish
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
    creator_id: str
    """The user who made it; Barbican takes it from the token, so it cannot be feigned."""
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
            listed = await self.session.listing(SERVICE, "/secrets", params=params)
            page = [_secret(one) for one in listed.docs("secrets")]
            found += page
            if len(page) < _PAGE:
                return sorted((one for one in found if one.name == name), key=lambda one: (one.created, one.id))

    async def own(self, name: str) -> list[Secret]:
        """Of `named`, those that this session's user made. Anybody with a role in the project can use the same name."""
        user_id = (await self.session.tokens.token()).user_id
        return [one for one in await self.named(name) if user_id and one.creator_id == user_id]

    async def payload(self, ref: str) -> bytes | None:
        """What is in the secret at this address; None when it is gone, or has nothing in it."""
        secret = secret_id(ref)
        path = f"/secrets/{segment(secret)}/payload"
        try:
            reply = await self.session.call(
                SERVICE, "GET", path, headers={"Accept": _BYTES}, resource=f"secret {secret}"
            )
        except CloudError as error:
            if _is_gone(error):
                return None
            raise
        return reply.body

    async def delete(self, ref: str) -> bool:
        """Delete the secret at this address for good; False when it was gone."""
        secret = secret_id(ref)
        try:
            await self.session.call(SERVICE, "DELETE", f"/secrets/{segment(secret)}", resource=f"secret {secret}")
        except CloudError as error:
            if _is_gone(error):
                return False
            raise
        return True


def _is_gone(error: CloudError) -> bool:
    """Whether Barbican itself says that there is no such secret, or that it is empty; each of its sentences about that
    has the word "secret".

    Raises:
        Rubbish: it is a 404 of something before Barbican, such as a proxy; what became of the secret is unknown.
    """
    if error.status != 404:
        return False
    if not re.search(r"\bsecret\b", error.message, re.IGNORECASE):
        raise Rubbish(SERVICE, "a 404 that is not Barbican's", status=404, resource=error.resource) from None
    return True


_BYTES: Final = "application/octet-stream"


def secret_id(ref: str) -> str:
    """The id in a secret's address. Of the address nothing else is used: the host is the catalog's business."""
    return urlsplit(ref).path.rstrip("/").rpartition("/")[2]


def _secret(doc: Doc) -> Secret:
    ref = doc.text("secret_ref")
    return Secret(
        secret_id(ref),
        ref,
        doc.maybe("name") or "",
        doc.text("status"),
        doc.maybe("creator_id") or "",
        doc.text("created"),
    )
