"""The command line `jeroboam`."""

from __future__ import annotations

import typer

from services.cli import bay, certs, db
from services.cli.demo import demo
from services.cli.doctor.command import doctor
from services.cli.up import up
from shared.runtime import logging

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold passwords and keys
)


@app.callback()
def prepare() -> None:
    """Container clusters for OpenStack."""
    # Only warnings of our own code reach the terminal; the programs that we start have log files.
    logging.configure("cli", "WARNING")


app.command()(demo)
app.command()(up)
app.command()(doctor)
app.add_typer(bay.app, name="bay")
app.add_typer(certs.app, name="certs")
app.add_typer(db.app, name="db")
