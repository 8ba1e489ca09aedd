"""Following many stacks with one listing: N bays polled in the same tick cost one call to Heat a project, or a cloud.

A listing serves everybody who asks within `keep` seconds of its start. An answer that says "no such stack" is only
given from a listing that began *after* the question: an older one may have begun before the stack was made.

Listing the whole cloud with one call needs Heat's policy stacks:global_index, which is denied to all by default. Where
it is denied, each project is listed, and the whole cloud is tried again some minutes later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from shared.domain.errors import CloudError
from shared.openstack.flight import SingleFlight
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackSummary

_log = structlog.get_logger(__name__)

TRY_AGAIN: Final = 300.0
"""Seconds before a denied listing of the whole cloud is tried again."""
_EVERYWHERE: Final = ""
_DENIED: Final = (
    "Heat does not let the service user list the stacks of all projects, so each project is listed. To allow it, put "
    'into Heat\'s policy.yaml: "stacks:global_index": "user_id:ID-OF-THE-SERVICE-USER"'
)


@dataclass(frozen=True, slots=True)
class _Listing:
    began: float
    stacks: Mapping[str, StackSummary]


class _Denied(Exception):
    """The whole cloud may not be listed now."""


class StackWatch:
    """Status of our stacks by project.

    Args:
        heat: the Heat client of a project.
        everywhere: a Heat client whose user may be allowed to list the stacks of all projects; None: it is not tried.
        keep: seconds that a listing is good for.
        clock: monotonic.
    """

    def __init__(
        self,
        heat: Callable[[str], HeatClient],
        *,
        everywhere: HeatClient | None = None,
        keep: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heat = heat
        self._everywhere = everywhere
        self._everywhere_from = float("-inf")
        self._told = False
        self._keep = keep
        self._clock = clock
        self._listings: dict[str, _Listing] = {}
        self._changed: dict[str, float] = {}
        self._flights: SingleFlight[str, None] = SingleFlight()

    async def status(self, project_id: str, stack_id: str) -> StackSummary | None:
        """The stack as a listing shows it, at most `keep` seconds old; None: Heat has no such living stack of ours.

        Raises:
            CloudError: Heat cannot tell.
        """
        asked = self._clock()
        listing = await self._of(project_id, max(asked - self._keep, self._changed.get(project_id, 0.0)))
        if stack_id not in listing.stacks and listing.began < asked:
            listing = await self._of(project_id, asked)
        return listing.stacks.get(stack_id)

    def forget(self, project_id: str) -> None:
        """Something was changed there: only listings that begin from now on count."""
        self._changed[project_id] = self._clock()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._flights.close()

    async def _of(self, project_id: str, moment: float) -> _Listing:
        """A listing with that project's stacks which began at `moment` or later."""
        if self._everywhere is not None and self._clock() >= self._everywhere_from:
            try:
                return await self._since(_EVERYWHERE, moment)
            except _Denied:
                pass
        return await self._since(project_id, moment)

    async def _since(self, place: str, moment: float) -> _Listing:
        """A listing that began at `moment` or later.

        The race: the listing under way may have begun too early; it is waited for (so that a place never has two at
        once), then the loop finds it too old and begins the next.
        """
        while True:
            held = self._listings.get(place)
            if held is not None and held.began >= moment:
                return held
            await self._flights.do(place, lambda: self._list(place))

    async def _list(self, place: str) -> None:
        began = self._clock()
        if self._everywhere is not None and place == _EVERYWHERE:
            stacks = await self._list_everywhere(self._everywhere)
        else:
            stacks = await self._heat(place).list_project()
        self._drop_old(began)
        self._listings[place] = _Listing(began, {stack.id: stack for stack in stacks})

    async def _list_everywhere(self, heat: HeatClient) -> list[StackSummary]:
        try:
            stacks = await heat.list_cloud()
        except CloudError as error:
            if error.status != 403:
                raise
            self._everywhere_from = self._clock() + TRY_AGAIN
            if not self._told:
                self._told = True
                _log.warning(_DENIED, reason=error.message)
            raise _Denied from None
        if self._told:
            self._told = False
            _log.info("Heat lets the service user list the stacks of all projects now")
        return stacks

    def _drop_old(self, now: float) -> None:
        """Projects whose bays are at rest take no memory."""
        oldest = now - max(self._keep, 60.0)
        self._listings = {place: one for place, one in self._listings.items() if one.began >= oldest}
        self._changed = {project: moment for project, moment in self._changed.items() if moment >= oldest}
