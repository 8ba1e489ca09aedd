"""`jeroboam certs`: what operators do to the certificate authority.

The work is that of services.certs, run as a process of its own with this command's environment: only the certificate
authority knows the master key, and no service imports another.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

app = typer.Typer(help="The certificate authority.", no_args_is_help=True)


@app.callback()
def certs() -> None:
    """The certificate authority. These commands take its settings from the environment (docs/settings.md)."""


@app.command()
def rewrap(
    check: Annotated[bool, typer.Option("--check", help="Only tell which master keys are in use.")] = False,
    batch: Annotated[int, typer.Option(help="Keys in one transaction.", min=1)] = 500,
) -> None:
    """Bring every authority's key in the database under the current master key; safe to repeat and while certs runs.

    Exit status 1: some keys are under another one still. The steps are in docs/operator-guide/day-2.md.
    """
    command = [sys.executable, "-m", "services.certs", "rewrap", f"--batch={batch}", *(["--check"] if check else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own program
