"""Wiring: what the steps of this service are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scaler.settings import ScalerSettings
from shared.coe.port import Coe
from shared.domain.bay import Bay
from shared.domain.errors import CloudError

TURN_SECONDS: Final = 25.0
"""How long one turn with a bay's engine may take in all, whatever it does; less than the 30 s of rule 3."""


def ours(error: CloudError) -> bool:
    """Whether it is not the bay that failed, but that we have no certificate for it yet: nothing follows of the bay,
    and a step leaves it to the ordinary retries."""
    return error.retryable and error.service == "certs"


class Access(Protocol):
    """The way into bays."""

    def reaches(self, bay: Bay) -> bool:
        """Whether this process is meant to call that bay's API at all."""
        ...

    def unreachable(self, bay: Bay) -> str | None:
        """Why it is not, as a sentence for people; None: it is."""
        ...

    def open(self, bay: Bay) -> AbstractAsyncContextManager[Coe]:
        """The bay's engine. Raises CloudError when there is no certificate for it, or it is not reached."""
        ...


@dataclass(frozen=True)
class Deps:
    """The frozen context of one process."""

    engine: AsyncEngine
    settings: ScalerSettings
    access: Access

    @asynccontextmanager
    async def turn(self, bay: Bay) -> AsyncIterator[Coe]:
        """The bay's engine for one turn.

        Raises:
            CloudError: whatever went wrong in there, also that the turn took too long.
        """
        try:
            async with asyncio.timeout(TURN_SECONDS), self.access.open(bay) as coe:
                yield coe
        except TimeoutError:
            what = f"The bay's API took longer than {TURN_SECONDS:.0f} s."
            raise CloudError(what, service="coe", retryable=True) from None
