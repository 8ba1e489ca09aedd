"""From which microversion on a handler is there (contract §1.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends

from services.api.request import Known
from shared.domain.errors import NotAcceptable

SINCE: Final[dict[Callable[..., Any], int]] = {}
"""What `since` has made → the lowest microversion that it lets pass; for the API reference."""


def since(minor: int, method: str) -> Any:
    """A dependency that refuses lower microversions; `method` is what Magnum calls the handler in its sentence.

    Put it into the route's `dependencies`: those come before its parameters, as Magnum looks at the version first.
    """

    async def check(facts: Known) -> None:
        if facts.version < minor:
            raise NotAcceptable(
                f"Version 1.{facts.version} was requested but the requested API {method} is not supported for this "
                "version."
            )

    SINCE[check] = minor
    return Depends(check)
