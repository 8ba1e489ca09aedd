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
