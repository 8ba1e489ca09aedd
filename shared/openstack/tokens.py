"""Tokens: what one is to us, and the two ways to come by one (the caller's, our service user's)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shared.openstack.catalog import Endpoints


@dataclass(frozen=True, slots=True)
class ScopedToken:
    """A token, when it ends (seconds since the epoch) and where it leads. The token never shows in a `repr`."""

    token: str = field(repr=False)
    expires_at: float
    endpoints: Endpoints = field(repr=False)
    project_id: str | None = None
    user_id: str = ""


class TokenSource(Protocol):
    """Whose token a session uses."""

    async def token(self) -> ScopedToken:
        """A token that is good now."""

    def invalidate(self, refused: str) -> bool:
        """The cloud refused this token. True when the next `token()` will be another one."""


@dataclass(frozen=True, slots=True)
class CallerToken:
    """The caller's own token; it cannot be renewed."""

    scoped: ScopedToken

    async def token(self) -> ScopedToken:
        """The token as it came."""
        return self.scoped

    def invalidate(self, refused: str) -> bool:
        """There is no other."""
        return False
