"""Bodies of /v1/quotas (contract §1.18)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel

from shared.contracts.http.base import WireBody
from shared.contracts.http.values import Natural, Text255


class QuotaCreate(WireBody):
    """POST /v1/quotas."""

    argument: ClassVar[str] = "quota"
    read_only: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at"})

    project_id: Text255 | None = None
    """Whose it is; the use case refuses none with Magnum's sentence."""
    resource: Literal["Cluster"] = "Cluster"
    hard_limit: Natural = 1
    """How many bays the project may have."""


class QuotaChange(WireBody):
    """PATCH /v1/quotas/{project}/{resource}: an object, no JSON patch. Clients send what they send to POST."""

    argument: ClassVar[str] = "quota"
    read_only: ClassVar[frozenset[str]] = QuotaCreate.read_only

    project_id: Text255 | None = None
    """Not looked at: the path says whose it is."""
    resource: Literal["Cluster"] = "Cluster"
    hard_limit: Natural


class QuotaOut(BaseModel):
    """A quota that somebody has set."""

    id: int
    project_id: str
    resource: Literal["Cluster"]
    hard_limit: int
    created_at: str
    updated_at: str | None


class QuotaDefault(BaseModel):
    """The quota of a project for which nobody has set one: the service's default, without id."""

    project_id: str
    resource: Literal["Cluster"]
    hard_limit: int


class QuotaList(BaseModel):
    """GET /v1/quotas."""

    quotas: list[QuotaOut]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""
