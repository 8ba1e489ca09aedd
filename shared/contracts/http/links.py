"""Parts that several answers have."""

from __future__ import annotations

from pydantic import BaseModel


class Link(BaseModel):
    """Where something is."""

    rel: str
    href: str
    type: str | None = None


class ErrorItem(BaseModel):
    """One error; `title` is `detail` up to its first full stop."""

    request_id: str = ""
    code: str
    status: int
    title: str
    detail: str
    links: list[Link] = []


class ErrorBody(BaseModel):
    """Every refusal (contract §1.6)."""

    errors: list[ErrorItem]


class Stranger(BaseModel):
    """Why a token does not do."""

    code: int
    title: str
    message: str


class StrangerBody(BaseModel):
    """What who has no good token reads (keystonemiddleware's form)."""

    error: Stranger


class UnsupportedItem(BaseModel):
    """A microversion that we do not have, and those that we have."""

    code: str
    title: str
    description: str
    min_version: str
    max_version: str
    links: list[Link]


class UnsupportedVersion(BaseModel):
    """A microversion out of range (contract §1.4)."""

    errors: list[UnsupportedItem]
