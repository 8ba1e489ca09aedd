"""Autoscaling: a look at each bay that is to be scaled by itself, about once a minute, and what follows from it.

Looks are rows (`repositories/checks.py`), so nothing is kept in memory for a bay that is not being looked at:

1. Once a second what is due is claimed, and all that its looks need is read at once.
2. At most `AT_ONCE` bays are looked at side by side, each for `LOOK_SECONDS` at most, so that one that hangs holds up
   nobody. A bay with an operation under way is passed over.
3. What they came to is written with the next round. A process that dies before loses only that: the rows are claimed
   anew when their lease is over, and who acts looks again under the bay's lock (`autoscale_act`).

A bay that cannot be seen is looked at ever more rarely, up to every `RAREST` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scaler import autoscale_act
from services.scaler.autoscale_load import is_large, load_of
from services.scaler.factory import Deps, ours
from shared.contracts.bay import BayCreated
from shared.db.repositories import checks, scaling
from shared.db.repositories.checks import Check
from shared.db.repositories.scaling import Settled, Subject
from shared.domain import autoscaling, scaling_policy
from shared.domain.autoscaling import History, Limits, Load
from shared.domain.bay import Wanted
from shared.domain.bay_state import BayStatus
from shared.domain.errors import CloudError
from shared.domain.packing import Amount
from shared.domain.queue import Door, takes
from shared.drivers import registry
from shared.worker.app import Background

_log = structlog.get_logger()

AT_ONCE: Final = 64
LOOK_SECONDS: Final = 12.0
"""How long a look may take in all, certificate and answer; less than the 15 s after which others would feel it."""
RAREST: Final = 600
_ROUND: Final = 1.0
_IDLE: Final = 5.0
_SEARCH: Final = 30.0
"""Seconds between two searches for bays that are to be looked at and are not."""
_LEASE: Final = 60.0
_AFTER_FAILURE: Final = 600.0
"""Seconds until a growth is asked for again that has failed; nothing shrinks until a change has succeeded."""
_SIZE: Final = "size"
"""Where the memo holds what a node of the group offers, for the time when there is none."""


async def bay_created(deps: Deps, message: BayCreated) -> None:
    """Begin to look at a new bay, if it is to be scaled by itself."""
    async with deps.engine.begin() as conn:
        await scaling.begin_missing(conn, _every(deps), message.bay_id)


def loop(deps: Deps) -> Background:
    """The background loop."""
    return Autoscaler(deps).run


class Autoscaler:
    """Of one process."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._every = _every(deps)
        self._scale = deps.settings.time_scale
        self._running: set[asyncio.Task[None]] = set()
        self._settled: list[Settled] = []
        self._over: list[Check] = []
        self._searched: float | None = None
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled; looks under way end with it, and their rows are claimed again."""
        try:
            while True:
                await self.search()
                claimed = await self.round()
                await self._rest(await self._pause(claimed))
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def round(self) -> int:
        """Write what looks came to, claim what is due and begin to look at it; how many were claimed."""
        free = AT_ONCE - len(self._running)
        async with self._deps.engine.begin() as conn:
            await self._write(conn)
            claimed = await checks.claim(conn, "scale", limit=free, lease_seconds=_LEASE) if free else []
            found = await scaling.subjects(conn, [one.bay_id for one in claimed]) if claimed else {}
        for check in claimed:
            self.begin(check, found.get(check.bay_id))
        return len(claimed)

    async def finish(self) -> None:
        """Wait for the looks under way and write what they came to."""
        while self._running:
            await asyncio.wait(self._running)
        async with self._deps.engine.begin() as conn:
            await self._write(conn)

    async def _write(self, conn: AsyncConnection) -> None:
        settled, self._settled = self._settled, []
        over, self._over = self._over, []
        await scaling.settle(conn, settled)
        await scaling.end(conn, over)

    def begin(self, check: Check, subject: Subject | None) -> None:
        """Look at a claimed bay, unless there is no need to."""
        if subject is None or subject.bay.wanted is Wanted.GONE or not scaling_policy.is_on(_values(subject)):
            self._over.append(check)
        elif subject.live or not takes(Door.RESIZE, subject.bay.status, "refuse"):
            self._settled.append(Settled(check, self._every, check.memo))
        else:
            task = asyncio.create_task(self._look(check, subject))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._news.set()

    async def _look(self, check: Check, subject: Subject) -> None:
        """Never raises: what went wrong with one bay is that bay's alone."""
        memo: Mapping[str, object] = check.memo
        try:
            memo = await look_at(self._deps, subject, memo)
        except CloudError as error:
            _log.info("autoscaling has to wait", bay=str(subject.bay.id), reason=error.message)
        except Exception:
            _log.exception("autoscaling failed", bay=str(subject.bay.id))
        rarely = max(0, History.of(memo).blind - 2)
        every = min(RAREST, self._every * 2 ** min(rarely, 8)) if rarely else self._every
        self._settled.append(Settled(check, every, memo))

    async def search(self) -> None:
        """Begin to look at bays that are to be looked at and are not, once in a while."""
        if self._searched is None or time.monotonic() - self._searched >= _SEARCH * self._scale:
            self._searched = time.monotonic()
            async with self._deps.engine.begin() as conn:
                await scaling.begin_missing(conn, self._every)

    async def _pause(self, claimed: int) -> float:
        if claimed or self._running or self._settled:
            return _ROUND * self._scale
        async with self._deps.engine.connect() as conn:
            due = await checks.next_due(conn, "scale")
        return _IDLE * self._scale if due is None else min(max(due, _ROUND * self._scale), _IDLE * self._scale)

    async def _rest(self, seconds: float) -> None:
        """Sleep; where all places are taken, only until one is free."""
        self._news.clear()
        if len(self._running) < AT_ONCE:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


async def look_at(deps: Deps, subject: Subject, memo: Mapping[str, object]) -> Mapping[str, object]:
    """Look at one bay and do what follows; what is to be remembered of it."""
    bay, history = subject.bay, History.of(memo)
    failed = subject.missed or bay.status is BayStatus.UPDATE_FAILED
    # After a failed change the row says what was asked for last, and the nodes what there is.
    count = len(subject.nodes) if failed else bay.node_count
    size = _size_of(memo)
    young = autoscaling.young(subject.now, count, history)
    load, unseen = await _load(deps, subject, count=count, young=young, size=size)
    limits = scaling_policy.limits_of(_values(subject))
    decision = autoscaling.decide(subject.now, count, load, _wary(limits) if failed else limits, history, unseen=unseen)
    if decision.tell and not await autoscale_act.carry_out(deps, subject, count, decision, load):
        return memo  # somebody else was first: the next look sees what they did
    size = load.size if load is not None and load.size is not None else size
    kept: dict[str, object] = decision.history.memo()
    return kept if size is None else kept | {_SIZE: list(size)}


async def _load(
    deps: Deps, subject: Subject, *, count: int, young: bool, size: Amount | None
) -> tuple[Load | None, str]:
    """What the engine says, or why it says nothing. Raises CloudError where that is not the bay's doing."""
    bay = subject.bay
    word = "pods" if registry.by_name(bay.driver).key[2] == "kubernetes" else "tasks"
    try:
        async with asyncio.timeout(LOOK_SECONDS), deps.access.open(bay) as coe:
            look = await coe.look()
    except CloudError as error:
        if ours(error):
            raise
        return None, error.message
    except TimeoutError:
        return None, f"its API took longer than {LOOK_SECONDS:.0f} s"
    reckon = partial(load_of, look, subject.nodes, count=count, young=young, known=subject.known, size=size, word=word)
    load = await asyncio.to_thread(reckon) if is_large(look) else reckon()
    return load, "what its API says is no truth"


def _values(subject: Subject) -> Mapping[str, scaling_policy.Value]:
    count = subject.bay.node_count
    return scaling_policy.effective(subject.labels, subject.policy, born=subject.born, count=count, group=subject.group)


def _wary(limits: Limits) -> Limits:
    """After a change that failed."""
    return replace(limits, rest_out=max(limits.rest_out, _AFTER_FAILURE), step_in=0)


def _size_of(memo: Mapping[str, object]) -> Amount | None:
    match memo.get(_SIZE):
        case [int() | float() as cpu, int() | float() as memory] if (size := Amount(cpu, memory)).sound:
            return size
    return None


def _every(deps: Deps) -> int:
    return max(1, round(deps.settings.autoscale_seconds * deps.settings.time_scale))
