"""Bodies of /v1/stats (contract §1.17)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StatsOut(BaseModel):
    """How much there is in a project, or in the whole cloud."""

    clusters: int = Field(ge=0)
    nodes: int = Field(ge=0)
    """Masters too."""
