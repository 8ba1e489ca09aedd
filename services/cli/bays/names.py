"""What commands about one bay have in common: its name, with completion in the shell, and how waiting is asked for."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from services.cli.cloud import client_of
from shared.domain.errors import JeroboamError
from shared.runtime import logging

_COMPLETION_LIMIT: Final = 10.0
"""Seconds that a person at the tab key may have to wait."""


def complete_bays(context: typer.Context, incomplete: str) -> list[str]:
    """The names that begin so; none where nobody can be asked, since a shell has no place for the reason."""
    return _complete(context, incomplete, baymodels=False)


def complete_baymodels(context: typer.Context, incomplete: str) -> list[str]:
    """The same for baymodels."""
    return _complete(context, incomplete, baymodels=True)


def _complete(context: typer.Context, incomplete: str, *, baymodels: bool) -> list[str]:
    async def names() -> list[str]:
        asked = client_of(context.params.get("os_cloud"), context.params.get("endpoint"), interactive=False)
        async with asyncio.timeout(_COMPLETION_LIMIT), asked as client:
            found = await (client.baymodels() if baymodels else client.bays())
            return sorted({one.name for one in found if one.name.startswith(incomplete)})

    logging.configure("cli", "CRITICAL")  # whatever is printed here, the shell takes for a name
    try:
        return asyncio.run(names())
    except (JeroboamError, OSError):
        return []


BayName = Annotated[str, typer.Argument(metavar="NAME", help="The bay, by name or uuid.", autocompletion=complete_bays)]
BaymodelName = Annotated[
    str, typer.Argument(metavar="NAME", help="The baymodel, by name or uuid.", autocompletion=complete_baymodels)
]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Come back when it is done, and show each step until then.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="How long to wait at most (exit status 6 then); the work goes on all the same."
    ),
]
