"""Changes of a bay: asked for, and where wanted waited for, with each step shown while it runs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from rich.console import Console

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


@dataclass(frozen=True)
class Change:
    """A change as it is told to people; `kinds` are those of the operations that it may become."""

    title: str
    name: str
    kinds: Collection[str]
    patience: Patience


async def ask_for(
    client: JeroboamClient, change: Change, work: Callable[[], Awaitable[str]], *, bay: str | None
) -> str:
    """Ask for a change and wait for it, if that is wanted; `work` returns the bay's uuid, and so does this.

    Args:
        bay: its uuid, where it is there already.

    Raises:
        Problem: it failed, or was not done in time.
        CloudError: it was refused.
    """
    console = screen(stderr=True)
    before = max((one.seq for one in await client.operations(bay)), default=0) if bay else 0
    uuid = await work()
    try:
        known = await client.operations(uuid)
    except CloudError as error:
        if error.status != 404:
            raise
        return uuid  # deleted already
    asked = _asked(known, change.kinds, before)
    for warning in asked.warnings if asked else ():
        console.print("[yellow]Warning:[/]", plain_text(warning), soft_wrap=True)
    if change.patience.wait and asked is not None:
        await follow(client, change, uuid, asked, known)
    elif asked is not None:
        console.print("It is under way. Watch it with:", plain_text(f"jeroboam bay wait {shlex.quote(change.name)}"))
    return uuid


async def follow(
    client: JeroboamClient, change: Change, bay: str, operation: OperationOut, known: Collection[OperationOut]
) -> bool:
    """Show an operation until it ends well; False once the bay is gone.

    Raises:
        Problem: it failed, or the time is over.
        CloudError: the API refuses, or does not answer for minutes.
    """
    view, seen = View(screen(stderr=True)), operation
    watch = Watch(client, bay, known)
    async with _limited(view.console, change, lambda: seen):
        with view.showing(), view.stage(change.title):
            view.operation(seen)
            async with aclosing(watch.news()) as news:
                while seen.state not in FINAL:
                    event = await anext(news)
                    if isinstance(event.data, GoneEvent):
                        if seen.kind == "delete":
                            return False
                        raise Problem(
                            f"The bay {change.name} was deleted meanwhile.", "See jeroboam bay list.", Exit.NOT_FOUND
                        )
                    if isinstance(event.data, OperationOut) and event.data.id == seen.id:
                        seen = event.data
                        view.operation(seen)
            if seen.state != "done":
                raise _failed(seen, change.name)
    return True


@asynccontextmanager
async def _limited(console: Console, change: Change, seen: Callable[[], OperationOut]) -> AsyncIterator[None]:
    """The time that may pass. However the wait ends early, who waited is told that the work goes on."""
    name = shlex.quote(change.name)
    again = f"The work goes on. Look at it with: jeroboam bay show {name}. Wait again with: jeroboam bay wait {name}"
    try:
        async with asyncio.timeout(change.patience.timeout):
            yield
    except TimeoutError:
        cause = f"Not done after {change.patience.timeout:g} s. It is at: {_sentence(seen())}"
        raise Problem(cause, again, Exit.TIMED_OUT) from None
    except asyncio.CancelledError:
        console.print("Waiting was interrupted.", plain_text(again), soft_wrap=True)
        raise


def _asked(found: Collection[OperationOut], kinds: Collection[str], before: int) -> OperationOut | None:
    """The operation that was just asked for: the first since, or the one under way that it was added to."""
    ours = [one for one in found if one.kind in kinds]
    since = [one for one in ours if one.seq > before]
    if since:
        return min(since, key=lambda one: one.seq)
    return max((one for one in ours if one.state not in FINAL), key=lambda one: one.seq, default=None)


def _failed(operation: OperationOut, name: str) -> Problem:
    quoted = shlex.quote(name)
    if operation.state != "failed":
        return Problem(
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
