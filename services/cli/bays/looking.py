"""`jeroboam bay list`, `show`, `operations` and `wait`: look, and change nothing."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import Annotated

import typer

from services.cli.bays.names import BayName, Timeout
from services.cli.bays.pictures import bay_facts, bay_table, operation_table
from services.cli.bays.waiting import Change, Gone, Overtaken, Patience, follow, going_on
from services.cli.bays.watching import FINAL
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, screen, show
from services.cli.problems import Problem
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import BayFull
from shared.domain.errors import CloudError


def list_bays(os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE) -> None:
    """List the bays of this project."""
    found = ask("List the bays", os_cloud, endpoint, lambda client: client.bays())
    show(found, output, lambda: bay_table(found))
    if not found and output is Format.TABLE:
        screen(stderr=True).print("There are none. Make one with: jeroboam bay create NAME --baymodel BAYMODEL")


def show_bay(name: BayName, os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE) -> None:
    """Show a bay: its status and why, its addresses, what it is made of."""
    found = ask(f"Show the bay {name}", os_cloud, endpoint, lambda client: client.bay(name), name=name)
    show(found, output, lambda: bay_facts(found))


def operations(
    name: BayName,
    steps: Annotated[
        bool, typer.Option("--steps", help="Each operation's steps too (json and yaml have them).")
    ] = False,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """List what was and is done to a bay, newest first, how long it took, and why it failed."""
    step = f"List the operations of the bay {name}"
    found = ask(step, os_cloud, endpoint, lambda client: client.operations(name), name=name)
    show(found, output, lambda: operation_table(found, steps=steps))


def wait(
    name: BayName,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Wait until nothing is under way any more, and show each step until then.

    Exit status 0: the bay is well, or was deleted while we waited. 1: what was waited for failed, or the bay is
    in a status that ends in _FAILED.
    """
    step = f"Wait for the bay {name}"
    found = ask(step, os_cloud, endpoint, lambda client: _settled(client, name, Patience(True, timeout)), name=name)
    if found is None:
        screen(stderr=True).print("The bay is gone.")
    else:
        show(found, output, lambda: bay_facts(found))


async def _settled(client: JeroboamClient, name: str, patience: Patience) -> BayFull | None:
    """The bay at rest; None: it is gone."""
    found = await client.bay(name)
    with going_on(name):
        try:
            bay = await _quiet(client, found, name, patience)
        except Gone:
            return None
        except CloudError as error:
            if error.status != 404:
                raise
            return None  # deleted between two looks
    if bay.status.endswith("_FAILED"):
        see = f"See: jeroboam bay operations {shlex.quote(name)} --steps"
        raise Problem(f"The bay is {bay.status}: {bay.status_reason or 'no reason given'}", see)
    return bay


async def _quiet(client: JeroboamClient, bay: BayFull, name: str, patience: Patience) -> BayFull:
    """Follow one operation after another, also that which overtook the one before, until none is left."""
    until = patience.until()
    while True:
        known = await client.operations(bay.uuid)
        live = [one for one in known if one.state not in FINAL]
        if not live:
            return await client.bay(bay.uuid)
        change = Change(f"Wait for the {live[-1].kind} of {bay.name}", name, (), patience)
        with suppress(Overtaken):
            await follow(client, change, bay.uuid, live[-1], known, until)
