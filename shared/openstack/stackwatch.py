"""Following many stacks of one project with one listing: N bays polled in the same tick cost one call to Heat.

A listing serves everybody who asks within `keep` seconds of its start. An answer that says "no such stack" is only
given from a listing that began *after* the question: an older one may have begun before the stack was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.openstack.flight import SingleFlight
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackSummary


@dataclass(frozen=True, slots=True)
class _Listing:
    began: float
    stacks: Mapping[str, StackSummary]


class StackWatch:
    """Status of our stacks by project.

    Args:
        heat: the Heat client of a project.
        keep: seconds that a listing is good for.
        clock: monotonic.
    """

    def __init__(
        self, heat: Callable[[str], HeatClient], *, keep: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._heat = heat
        self._keep = keep
        self._clock = clock
        self._listings: dict[str, _Listing] = {}
        self._changed: dict[str, float] = {}
        self._flights: SingleFlight[str, _Listing] = SingleFlight()

    async def status(self, project_id: str, stack_id: str) -> StackSummary | None:
        """The stack as a listing shows it, at most `keep` seconds old; None: Heat has no such living stack of ours.

        Raises:
            CloudError: Heat cannot tell.
        """
        asked = self._clock()
        listing = await self._since(project_id, max(asked - self._keep, self._changed.get(project_id, 0.0)))
        if stack_id not in listing.stacks and listing.began < asked:
            listing = await self._since(project_id, asked)
        return listing.stacks.get(stack_id)

    def forget(self, project_id: str) -> None:
        """Something was changed there by us: only listings that begin from now on count."""
        self._changed[project_id] = self._clock()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._flights.close()

    async def _since(self, project_id: str, moment: float) -> _Listing:
        """A listing that began at `moment` or later.

        The race: the listing under way may have begun too early; it is waited for (so that a project never has two at
        once), then the loop finds it too old and begins the next.
        """
        while True:
            held = self._listings.get(project_id)
            if held is not None and held.began >= moment:
                return held
            await self._flights.do(project_id, lambda: self._list(project_id))

    async def _list(self, project_id: str) -> _Listing:
        began = self._clock()
        stacks = await self._heat(project_id).list_project()
        self._drop_old(began)
        listing = self._listings[project_id] = _Listing(began, {stack.id: stack for stack in stacks})
        return listing

    def _drop_old(self, now: float) -> None:
        """Projects whose bays are at rest take no memory."""
        oldest = now - max(self._keep, 60.0)
        self._listings = {project: one for project, one in self._listings.items() if one.began >= oldest}
        self._changed = {project: moment for project, moment in self._changed.items() if moment >= oldest}
