"""GET /v1/certificates/{bay}/rotation: how far the rotation of a bay's authorities is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class RotatingNode(BaseModel):
    """How far one node is."""

    name: str
    server_id: str
    role: str
    reached: bool
    """Whether it has reported that it uses what this phase is about."""
    turn: bool
    """Whether it may go on with this phase; masters do so one at a time."""
    reported_at: str | None
    problem: str | None
    """What it says keeps it from that; it looks again by itself."""


class RotationCounts(BaseModel):
    """Nodes, and those of them that have reached the phase."""

    masters: int
    masters_reached: int
    workers: int
    workers_reached: int


class RotationOut(BaseModel):
    """A rotation that is not over."""

    bay_uuid: str
    cluster_uuid: str
    phase: Literal["trust", "reissue", "drop"]
    """Trust both, then use certificates of the one that stays, then trust that alone."""
    generation: int
    """Of the authorities that the rotation made."""
    previous: int
    """Of those that were there before."""
    undone: bool
    """Whether the previous ones shall remain."""
    started_at: str
    counts: RotationCounts
    nodes: list[RotatingNode]
