"""The documents of / and /v1 (contract §1.2, §1.3), and of /readyz."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from shared.contracts.http.links import Link


class VersionOut(BaseModel):
    """One version of the API."""

    id: str
    status: str
    min_version: str
    max_version: str
    links: list[Link]


class Root(BaseModel):
    """GET /."""

    name: str
    description: str
    versions: list[VersionOut]


class MediaType(BaseModel):
    """A form of bodies."""

    base: str
    type: str


class Version1(BaseModel):
    """GET /v1: besides these, a pair of links for each resource, under its name."""

    model_config = ConfigDict(extra="allow")

    id: str
    media_types: list[MediaType]
    links: list[Link]


class Ready(BaseModel):
    """GET /readyz."""

    ready: bool
    database: bool
    bus: bool
