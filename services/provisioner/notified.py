"""What Heat tells us of our stacks: a reason to look at once, and to poll rarely meanwhile.

The race that the second and later looks are for, step by step: Heat publishes the end of a stack; we look; Heat still
shows IN_PROGRESS, because it writes the end to its database only after that; the operation would wait for its next
timer. The same when somebody was looking just then, from before the end. So one end makes us look several times within
some seconds, as long as the operation is this service's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.provisioner.settings import ProvisionerSettings
from shared.db.repositories import hasten
from shared.domain import names
from shared.domain.bay import Operation
from shared.domain.operation import Service
from shared.openstack.notifications import HeatNotifications
from shared.openstack.stack_news import StackNews
from shared.openstack.stackwatch import StackWatch
from shared.runtime.egress import EgressPolicy

LOOKS: Final = (0.05, 0.25, 0.7, 2.0, 5.0)
"""Seconds before each of the looks that an end is worth at most. Heat has written it 60 ms after it told, mostly."""

_NAME: Final = re.compile(r".+-([0-9a-f]{12})-\d+(?:-g\d+)?(?:-s\d+)?")


class Notified:
    """The listener of one process.

    Args:
        settings: where Heat publishes; without that, nothing is ever heard.
        engine: of the provisioner's role.
        stacks: whose listing of a project is out of date when a stack there ends.
        wake: called when something became due.
    """

    def __init__(
        self, settings: ProvisionerSettings, engine: AsyncEngine, stacks: StackWatch, wake: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._stacks = stacks
        self._wake = wake
        source = settings.heat_notifications_source
        egress = EgressPolicy(allow=settings.egress_allow, deny=settings.egress_deny)
        self._listener = None if source is None else HeatNotifications(source, self._heard, egress)

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """What is to run beside the steps."""
        return [] if self._listener is None else [self._listener.run]

    def tells(self, operation: Operation) -> bool:
        """Whether Heat will tell of the end of this operation's stack: it has told of the stack already, and what it
        publishes comes to our queue now. The first proves Heat's configuration, the second our connection."""
        listening = self._listener is not None and self._listener.alive()
        return listening and operation.memo.get(hasten.NOTIFIED) is True

    async def _heard(self, news: StackNews) -> None:
        meant = bays_meant(news)
        if meant is None:
            return
        waiting = await self._note(news, meant, due=False)
        for pause in LOOKS if news.ended else ():
            if not waiting:
                return
            await asyncio.sleep(pause)
            waiting &= await self._note(news, meant, due=True)

    async def _note(self, news: StackNews, meant: tuple[UUID, UUID], *, due: bool) -> set[UUID]:
        """The bay's operation; with `due`, it looks at once."""
        first, last = meant
        async with self._engine.begin() as conn:
            found = await hasten.heard(
                conn, Service.PROVISIONER, first=first, last=last, project_id=news.project_id, due=due
            )
            if found and due:
                self._stacks.forget(news.project_id)  # before anybody can claim it and find the old listing
        if found and due:
            self._wake()
        return found


def bays_meant(news: StackNews) -> tuple[UUID, UUID] | None:
    """The first and the last id that the bay of this stack can have; None: it is no stack of ours, or a nested one.

    Nested stacks carry no tag of ours, and Heat appends more to their names. A Heat that tells no tags leaves the name,
    which has the first twelve digits of the bay's id.
    """
    if news.tags is None:
        named = _NAME.fullmatch(news.stack_name)
        return (UUID(named[1] + 20 * "0"), UUID(named[1] + 20 * "f")) if named else None
    tagged = next((bay_id for tag in news.tags if (bay_id := names.tagged_bay(tag))), None)
    return None if tagged is None else (tagged, tagged)
