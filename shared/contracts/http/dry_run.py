"""Answer of POST /v1/bays?dry_run=true and of the same for clusters. Not in Magnum."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class DryRun(BaseModel):
    """What a bay would be; nothing was changed."""

    driver: str
    effective_labels: dict[str, str]
    warnings: list[str]
    """What the real answer would warn of, for instance of labels without effect."""
    template: str
    """The Heat template."""
    files: dict[str, str]
    """What it refers to, the nodes' user-data among them."""
    environment: dict[str, Any]
    parameters: dict[str, str]
    """Secrets are not shown."""
    resources: dict[str, int]
    """Heat's resources by type."""
    footprint: dict[str, Any]
    """What it would take of the project's quotas."""
    not_known_yet: list[dict[str, str]]
    """Parameters and files with stand-ins for what exists only after acceptance, and why."""
