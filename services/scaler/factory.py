"""Wiring: what the steps of this service are given."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True)
class Deps:
    """The frozen context of one process."""

    engine: AsyncEngine
