"""Changes of a bay: asked for, and where wanted waited for, with each step shown while it runs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from services.cli.bays.watching import FINAL, Watch
from services.cli.output import plain_text, screen
from services.cli.problems import Exit, Problem
from services.cli.view import View
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import GoneEvent
from shared.domain.errors import CloudError


@dataclass(frozen=True)
class Patience:
    """Whether to wait for the end of what was asked for, and how many seconds at most (None: however long)."""

    wait: bool
    timeout: float | None = None

    def until(self) -> float | None:
        """The end of a wait that begins now, by the loop's clock."""
        return None if self.timeout is None else asyncio.get_running_loop().time() + self.timeout


@dataclass(frozen=True)
class Change:
    """A change as it is told to people; `kinds` are those of the operations that it may become."""

    title: str
    name: str
    kinds: Collection[str]
    patience: Patience


class Overtaken(Problem):
    """What was waited for ended, since another request came in its way."""


class Gone(Problem):
    """The bay was deleted while something else was waited for."""


_OVERTAKEN: Final = frozenset({"superseded", "cancelled"})


async def ask_for(
    client: JeroboamClient, change: Change, work: Callable[[], Awaitable[str]], *, bay: str | None
) -> str:
    """Ask for a change and wait for it, if that is wanted; `work` returns the bay's uuid, and so does this.

    Args:
        bay: its uuid, where it is there already.

    Raises:
        Problem: it failed, was overtaken, or was not done in time.
        CloudError: it was refused, or it cannot be seen what became of it.
    """
    before = max((one.seq for one in await client.operations(bay)), default=0) if bay else 0
    uuid = await work()
    with going_on(change.name):
        try:
            known = await client.operations(uuid)
        except CloudError as error:
            if error.status != 404:
                raise
            return uuid  # deleted already
        asked = _asked(known, change.kinds, before, await client.user_id())
        if asked is not None:
            await _attend(client, change, uuid, asked, known)
    return uuid


async def _attend(
    client: JeroboamClient, change: Change, bay: str, asked: OperationOut, known: Collection[OperationOut]
) -> None:
    """Tell what there is to be told of an operation that was just asked for, and wait for it, if that is wanted."""
    console = screen(stderr=True)
    for warning in asked.warnings:
        console.print("[yellow]Warning:[/]", plain_text(warning), soft_wrap=True)
    if not change.patience.wait:
        console.print("It is under way. Watch it with:", plain_text(f"jeroboam bay wait {shlex.quote(change.name)}"))
        return
    await follow(client, change, bay, asked, known, change.patience.until())


async def follow(
    client: JeroboamClient,
    change: Change,
    bay: str,
    operation: OperationOut,
    known: Collection[OperationOut],
    until: float | None,
) -> None:
    """Show an operation until it is done.

    Args:
        until: by the loop's clock; None: however long. It ends the wait that `change.patience` began.

    Raises:
        Overtaken, Gone: it will not be done.
        Problem: it failed, or the time is over.
        CloudError: the API refuses, or does not answer for minutes.
    """
    view, seen = View(screen(stderr=True)), operation
    watch = Watch(client, bay, known)
    async with _limited(change, until, lambda: seen):
        with view.showing(), view.stage(change.title):
            view.operation(seen)
            async with aclosing(watch.news()) as news:
                while seen.state not in FINAL:
                    event = await anext(news)
                    if isinstance(event.data, GoneEvent):
                        if seen.kind == "delete":
                            return
                        cause = f"The bay {change.name} was deleted meanwhile."
                        raise Gone(cause, "See jeroboam bay list.", Exit.NOT_FOUND)
                    if isinstance(event.data, OperationOut) and event.data.id == seen.id:
                        seen = event.data
                        view.operation(seen)
            if seen.state != "done":
                raise _failed(seen, change.name)


@contextmanager
def going_on(name: str) -> Iterator[None]:
    """Around a wait: who gives it up, or is refused a look, is told that the work goes on."""
    try:
        yield
    except (asyncio.CancelledError, CloudError):
        screen(stderr=True).print("Waiting was interrupted.", plain_text(_again(name)), soft_wrap=True)
        raise


@asynccontextmanager
async def _limited(change: Change, until: float | None, seen: Callable[[], OperationOut]) -> AsyncIterator[None]:
    """The time that may pass."""
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError:
        cause = f"Not done after {change.patience.timeout:g} s. It is at: {_sentence(seen())}"
        raise Problem(cause, _again(change.name), Exit.TIMED_OUT) from None


def _again(name: str) -> str:
    quoted = shlex.quote(name)
    return f"The work goes on. Look at it with: jeroboam bay show {quoted}. Wait again with: jeroboam bay wait {quoted}"


def _asked(found: Collection[OperationOut], kinds: Collection[str], before: int, user: str) -> OperationOut | None:
    """The operation that was just asked for: the user's first since, or the one under way that it was added to.

    Others may ask for the same at the same time, as autoscaling does. The user's own from another terminal cannot be
    told from this one, but if one of the two took the other's place, it is the one that stands.
    """
    alike = sorted((one for one in found if one.kind in kinds), key=lambda one: one.seq)
    since = [one for one in alike if one.seq > before and one.requested_by == user]
    if since:
        return next((one for one in since if one.state not in _OVERTAKEN), since[-1])
    return next((one for one in reversed(alike) if one.state not in FINAL), None)


def _failed(operation: OperationOut, name: str) -> Problem:
    quoted = shlex.quote(name)
    if operation.state in _OVERTAKEN:
        return Overtaken(
            f"The {operation.kind} ended as {operation.state}: another request came in its way.",
            f"See what: jeroboam bay operations {quoted}",
        )
    advice = {
        "create": f"Mend what the cause names, then: jeroboam bay delete {quoted}, and make it again.",
        "delete": f"Mend what the cause names, then run this again. Details: jeroboam bay operations {quoted} --steps",
    }
    cause = f"{_sentence(operation)}: {operation.error or 'no reason given'}"
    usual = f"Mend what the cause names, then ask again. Details: jeroboam bay operations {quoted} --steps"
    return Problem(cause, advice.get(operation.kind, usual))


def _sentence(operation: OperationOut) -> str:
    """The step that it stands at, in words."""
    if operation.state == "queued":
        return f"The {operation.kind} waits for its turn"
    left = [step for step in operation.steps if step.state != "done"]
    return left[0].sentence if left else f"Finish the {operation.kind}"
