"""`jeroboam db`: bring the database to the newest schema, and tell where it stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from services.cli.problems import Trouble

app = typer.Typer(help="The database's schema.", no_args_is_help=True)

Dsn = Annotated[
    str,
    typer.Option(
        "--database-url",
        envvar="JEROBOAM_DATABASE_URL",
        help="postgresql://… of an administrator; it may also be in the environment.",
        show_envvar=True,
    ),
]


@app.command()
def upgrade(database_url: Dsn) -> None:
    """Make the roles and run the migrations that are missing; safe to repeat.

    The services' roles get the passwords in JEROBOAM_DB_PASSWORD_API, _PROVISIONER, _CERTS and _SCALER, where given.
    """
    from shared.db import migrate  # noqa: PLC0415 - half a second, which no other command has to pay

    with _in_words("Upgrade the database"):
        migrate.upgrade(database_url, _passwords())
        _show(database_url)


@app.command()
def current(database_url: Dsn) -> None:
    """Show the database's revision and the newest one; exit 1 when they differ."""
    with _in_words("Look at the database"):
        newest = _show(database_url)
    if not newest:
        raise typer.Exit(1)


@app.command()
def check(database_url: Dsn) -> None:
    """Compare the tables of the code with those of the database; a difference is an error."""
    from shared.db import migrate  # noqa: PLC0415

    with _in_words("Compare the database with the code"):
        migrate.check(database_url)


def _passwords() -> dict[str, str]:
    from shared.db.roles import SERVICE_ROLES  # noqa: PLC0415

    named = {role: os.environ.get(f"JEROBOAM_DB_PASSWORD_{role.removeprefix('jb_').upper()}") for role in SERVICE_ROLES}
    return {role: password for role, password in named.items() if password}


@contextmanager
def _in_words(step: str) -> Iterator[None]:
    """The outermost door of these commands: a failure becomes a sentence and exit status 1."""
    try:
        yield
    except Exception as error:
        advice = "Is the address right, does the server run, and is the user an administrator of the database?"
        Trouble(step, f"{type(error).__name__}: {error}", advice).show(Console(highlight=False, stderr=True))
        raise typer.Exit(1) from None


def _show(database_url: str) -> bool:
    from shared.db import migrate  # noqa: PLC0415

    here, newest = migrate.current(database_url)
    Console(highlight=False).print(f"database: {here or 'empty'}   newest: {newest}")
    return here == newest
