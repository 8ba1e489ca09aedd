"""Refused CSRs, counted: the audit trail gets a line for each bay, caller and reason every few seconds, with how many.

A line for each would let anybody who may ask fill the disk and keep the database busy. What is counted is written in
the end too, when the process stops; what cannot be written now is kept until it can.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.errors import TooLarge, TooMany
from shared.db.repositories import refusals
from shared.db.repositories.refusals import Refusal
from shared.domain.errors import ClientFault, Conflict, Forbidden, InvalidInput, NotFound
from shared.openstack.validate import Caller
from shared.runtime.telemetry import CSR_REFUSALS

_log = structlog.get_logger(__name__)

_MOST: Final = 1_000
"""Different refusals that are kept apart between two writes; what comes beyond is counted together."""
_LONGEST: Final = 255
_REST: Final = Refusal("", "", "", "many different ones")
THROTTLED: Final = "too many refused before"


class Refused(InvalidInput):
    """A CSR that is not signed. `kind` says why in few words, of which there are not many."""

    def __init__(self, kind: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.kind = kind


@dataclass
class Watched:
    """A request on its way; `bay` is set as soon as it is known which one is asked for."""

    bay: str = ""


class Refusals:
    """The counts of one process, written every `every` seconds."""

    def __init__(self, engine: AsyncEngine, *, every: float) -> None:
        self._engine = engine
        self._every = every
        self._counted: Counter[Refusal] = Counter()

    def note(self, refusal: Refusal) -> None:
        """Count one more. Nothing waits here."""
        CSR_REFUSALS.labels(refusal.why).inc()
        if refusal not in self._counted and len(self._counted) >= _MOST:
            refusal = _REST
        self._counted[refusal] += 1

    @contextmanager
    def watching(self, caller: Caller) -> Iterator[Watched]:
        """Count the request within, if it is refused."""
        watched = Watched()
        try:
            yield watched
        except ClientFault as error:
            self.note(Refusal(watched.bay[:_LONGEST], caller.project_id, caller.user_id, _kind(error)))
            raise

    @contextmanager
    def watching_node(self, bay: str, requester: str) -> Iterator[None]:
        """Count a node's CSR that does not pass the gate. Its other refusals have lines of their own.

        Both texts are empty where the node has not proven itself: what anybody can say would fill up the counts.
        """
        try:
            yield
        except Refused as error:
            self.note(Refusal(bay, "", requester, error.kind))
            raise

    async def run(self) -> None:
        """Write now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self._flush()

    async def _flush(self) -> None:
        """Write what was counted; what cannot be written is kept."""
        counted, self._counted = self._counted, Counter()
        if not counted:
            return
        try:
            async with self._engine.begin() as conn:
                await refusals.write(conn, counted)
        except BaseException as error:  # also when it is cancelled in the midst: a doubled line is better than none
            self._counted.update(counted)
            if not isinstance(error, Exception):
                raise
            _log.warning("refusals not written to the audit trail yet", reason=type(error).__name__)
        else:
            _log.info("refused certificate requests", kinds=len(counted), times=counted.total())

    async def close(self) -> None:
        """Write what is left; what the database does not take any more goes to the log."""
        await self._flush()
        for refusal, times in self._counted.items():
            _log.error("refusal lost to the audit trail", times=times, **refusal._asdict())


def _kind(error: ClientFault) -> str:
    match error:
        case Refused():
            return error.kind
        case TooLarge():
            return "oversized"
        case TooMany():
            return THROTTLED
        case Forbidden():
            return "not allowed by the policy"
        case NotFound():
            return "unknown bay"
        case Conflict():
            return "ambiguous name"
        case _:
            return "malformed request"
