"""The group `jeroboam bay`."""

from __future__ import annotations

import typer

from services.cli.bays.changing import delete, resize, rotate, upgrade
from services.cli.bays.config import config
from services.cli.bays.create import create
from services.cli.bays.events import events
from services.cli.bays.looking import list_bays, operations, show_bay, wait

app = typer.Typer(help="Make, look at, change and delete bays.", no_args_is_help=True)


@app.callback()
def bays() -> None:
    """Make, look at, change and delete bays.

    Who you are comes from clouds.yaml or the OS_… variables, as for the openstack command.
    """


app.command()(create)
app.command("list")(list_bays)
app.command("show")(show_bay)
app.command()(wait)
app.command()(operations)
app.command()(events)
app.command()(resize)
app.command()(upgrade)
app.command()(rotate)
app.command()(delete)
app.command()(config)
