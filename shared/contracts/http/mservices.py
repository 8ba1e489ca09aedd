"""Bodies of /v1/mservices (contract §1.16)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class WorkerOut(BaseModel):
    """One of our workers on a host."""

    binary: str
    state: Literal["up", "down"]
    report_count: int
    last_seen_up: str


class MserviceOut(BaseModel):
    """A host's workers as the one conductor that Magnum has there; up when all are."""

    id: int
    host: str
    binary: str
    state: Literal["up", "down"]
    disabled: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str | None
    report_count: int
    """How often it has said that it lives."""
    last_seen_up: str
    forced_down: bool
    workers: list[WorkerOut]
    """Not in Magnum."""


class MserviceList(BaseModel):
    """GET /v1/mservices; it has no pages."""

    mservices: list[MserviceOut]
