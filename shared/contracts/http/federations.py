"""Bodies of /v1/federations (contract §1.19)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import NAME_PATTERN, Text255


class FederationCreate(WireBody):
    """POST /v1/federations. What may not be absent has a sentence of its own in the use case."""

    argument: ClassVar[str] = "federation"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"uuid", "links", "status", "status_reason", "created_at", "updated_at"}
    )

    name: Annotated[str, Field(min_length=1, max_length=242, pattern=NAME_PATTERN)] | None = None
    hostcluster_id: Text255 | None = None
    """The cluster, by uuid or name, that would hold the federated control plane."""
    member_ids: list[Text255] | None = None
    properties: dict[str, str] | None = None
    """Must have `dns-zone`."""


class FederationOut(BaseModel):
    """A federation, if there ever were one."""

    uuid: str
    name: str
    hostcluster_id: str
    member_ids: list[str]
    status: str
    status_reason: str | None
    properties: dict[str, str]
    links: list[Link]
    created_at: str
    updated_at: str | None


class FederationList(BaseModel):
    """GET /v1/federations and /v1/federations/detail: an empty list."""

    federations: list[FederationOut]
