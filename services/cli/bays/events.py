"""`jeroboam bay events`: a bay's history, and what happens as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.bays.names import BayName
from services.cli.bays.pictures import moment, progress
from services.cli.bays.watching import FINAL, Watch
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, plain_text, rows, show, show_next
from services.cli.view import step_line
from shared.client.api import JeroboamClient
from shared.client.events import BayEvent
from shared.contracts.http.bays import OperationOut, OperationStepOut
from shared.contracts.http.events import StatusEvent


def events(
    name: BayName,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Tell what happens as it happens, until Ctrl-C or the bay's end.")
    ] = False,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a bay's history; with --follow, the present state and then each change and each step.

    With --follow, json is one object a line, and yaml one document an event.
    """
    step = f"Tell of the bay {name}"
    if follow:
        ask(step, os_cloud, endpoint, lambda client: _follow(client, name, output), name=name)
        return
    found = ask(step, os_cloud, endpoint, lambda client: _history(client, name), name=name)
    show([_named(one) for one in found], output, lambda: _table([one.data for one in found]))


async def _history(client: JeroboamClient, name: str) -> list[BayEvent]:
    """Every line of the history. The first stream tells how far it goes, the second one tells it from its beginning."""
    bay = (await client.bay(name)).uuid
    last = 0
    async with aclosing(client.events(bay)) as told:
        async for event in told:
            last = event.after or 0
            break
    found: list[BayEvent] = []
    async with aclosing(client.events(bay, after=0)) as told:
        async for event in told:
            found += [event] if isinstance(event.data, StatusEvent) else []
            if event.after is not None and event.after >= last:
                break
    return found


async def _follow(client: JeroboamClient, name: str, output: Format) -> None:
    bay = (await client.bay(name)).uuid
    shown: dict[str, Sequence[OperationStepOut]] = {}
    known = [one for one in await client.operations(bay) if one.state in FINAL]
    async with aclosing(Watch(client, bay, known).news()) as news:
        async for event in news:
            show_next(_named(event), output, _line(event, shown))


def _table(found: Sequence[object]) -> Table:
    return rows(
        [one for one in found if isinstance(one, StatusEvent)],
        {
            "WHEN (UTC)": lambda one: moment(one.at),
            "WHAT": lambda one: one.event,
            "STATUS": lambda one: one.became,
            "WHY": lambda one: one.reason,
        },
    )


def _named(event: BayEvent) -> dict[str, object]:
    """An event as the API streams it: its kind, its number if it is a line of the history, its data."""
    match event.data:
        case StatusEvent():
            return {"event": "status", "id": event.after, "data": event.data}
        case OperationOut():
            return {"event": "operation", "id": None, "data": event.data}
        case _:
            return {"event": "gone", "id": None, "data": event.data}


def _line(event: BayEvent, shown: dict[str, Sequence[OperationStepOut]]) -> Group | None:
    """What people read of an event; None where it has nothing new for them."""
    match event.data:
        case StatusEvent() as line:
            why = f": {line.reason}" if line.reason else ""
            return Group(plain_text(f"{moment(line.at)}  {line.became}  {line.event}{why}"))
        case OperationOut() as operation:
            news = progress(shown.get(operation.id, ()), operation)
            shown[operation.id] = operation.steps
            lines = [Text.from_markup(f"  {operation.kind}: {step_line(one)}") for one in news]
            return Group(*lines) if lines else None
        case _:
            return Group(Text("The bay is gone."))
