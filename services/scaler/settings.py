"""What the scaler reads from its environment: so far what all services read."""

from __future__ import annotations

from shared.runtime.settings import CommonSettings


class ScalerSettings(CommonSettings):
    """No settings of its own yet."""
