"""What Prometheus is told of the sign path."""

from __future__ import annotations

from typing import Final

from shared.db.repositories.sign_requests import NODE_PREFIX, SignRequest, SignState
from shared.domain import client_profiles, node_profiles
from shared.runtime.telemetry import SIGN_SECONDS, SIGNATURES

_PROFILES: Final = frozenset(
    {client_profiles.OWNER, *client_profiles.PROFILES, *(NODE_PREFIX + name for name in node_profiles.PROFILES)}
)


def count(request: SignRequest, state: SignState, seconds: float) -> None:
    """A request has ended, so long after it was read."""
    profile = request.profile if request.profile in _PROFILES else "unknown"
    SIGNATURES.labels(profile, state.value).inc()
    SIGN_SECONDS.labels(state.value).observe(request.age + seconds)
