"""What the scaler reads from its environment, besides what all services read."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import CommonSettings


class ScalerSettings(CommonSettings):
    """Whom the scaler may call."""

    scaler_reach_private: bool = Field(
        default=False,
        description="whether the scaler also calls bays whose API has no floating address; it must have a route to "
        "the bays' own networks",
    )
    autoscale_seconds: int = Field(
        default=60, ge=5, le=3600, description="between two looks at a bay that is scaled by itself"
    )
