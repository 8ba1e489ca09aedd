"""The command line `jeroboam`."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated, Final

import typer
from typer._click import Context
from typer.core import TyperGroup
from typing_extensions import override

from services.cli import baymodels, certs, db, scale
from services.cli.bays import app as bays
from services.cli.dead import app as dead
from services.cli.demo import demo
from services.cli.doctor.command import doctor
from services.cli.problems import table_of_exits
from services.cli.up import up
from shared.runtime import logging

_ORDER: Final = ("bay", "baymodel", "scale", "demo", "up", "doctor", "dead", "certs", "db")
_BAYS, _HERE, _OPERATORS = "Bays", "On this machine", "For operators"


class _InOrder(TyperGroup):
    """The help begins with what most people are here for."""

    @override
    def list_commands(self, ctx: Context) -> list[str]:
        return sorted(
            super().list_commands(ctx), key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)
        )


app = typer.Typer(
    cls=_InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=table_of_exits(),
    pretty_exceptions_show_locals=False,  # locals hold passwords and keys
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"jeroboam {metadata.version('jeroboam')}")
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and nothing else.")
    ] = False,
) -> None:
    """Container clusters for OpenStack."""
    # Only warnings of our own code reach the terminal; the programs that we start have log files.
    logging.configure("cli", "WARNING")


app.add_typer(bays.app, name="bay", rich_help_panel=_BAYS)
app.add_typer(baymodels.app, name="baymodel", rich_help_panel=_BAYS)
app.add_typer(scale.app, name="scale", rich_help_panel=_BAYS)
app.command(rich_help_panel=_HERE)(demo)
app.command(rich_help_panel=_HERE)(up)
app.command(rich_help_panel=_OPERATORS)(doctor)
app.add_typer(dead, name="dead", rich_help_panel=_OPERATORS)
app.add_typer(certs.app, name="certs", rich_help_panel=_OPERATORS)
app.add_typer(db.app, name="db", rich_help_panel=_OPERATORS)
