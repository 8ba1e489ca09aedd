"""The command `jeroboam doctor`: what it prints, and its exit status."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from services.cli.doctor.findings import Finding, Level
from services.cli.doctor.settings import SERVICES, DoctorSettings, read_env_file
from services.cli.process import run
from shared.runtime import logging
from shared.runtime.settings import load

_COLOUR: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.MISSING: "bold red"}


def doctor(
    env_file: Annotated[
        Path | None, typer.Option(help="File of NAME=value lines; what the environment has already wins.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Name or id of a project that is to get bays.")] = None,
    service: Annotated[
        list[str] | None, typer.Option(help="Read only this service's settings; may be repeated. Default: all four.")
    ] = None,
    make_stack: Annotated[
        bool,
        typer.Option(
            "--make-stack", help="Make and delete a tiny stack in --project, and a credential as nodes get it."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Check everything that Jeroboam needs in the living cloud; say what is missing and how to mend it.

    Exit status 1 when anything is missing. Reads the services' JEROBOAM_… variables and prints no secret.
    """
    logging.configure("doctor", "ERROR")  # what the cloud refuses is told in our own words
    services = service or list(SERVICES)
    if unknown := set(services) - set(SERVICES):
        raise typer.BadParameter(f"no such service: {', '.join(sorted(unknown))}", param_hint="--service")
    if make_stack and project is None:  # never in a project of somebody who was not asked
        raise typer.BadParameter("name the project with --project", param_hint="--make-stack")
    if env_file is not None:
        try:
            os.environ.update({k: v for k, v in read_env_file(env_file).items() if k not in os.environ})
        except (OSError, ValueError) as error:
            raise typer.BadParameter(str(error), param_hint="--env-file") from None
    console = Console(highlight=False, soft_wrap=True)
    work = _examined(load(DoctorSettings), services, project, make_stack, None if as_json else console)
    found = run(work)
    healthy = all(one.level is not Level.MISSING for one in found)
    if as_json:
        report = {"ok": healthy, "findings": [one.as_dict() for one in found]}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        _sum_up(console, found)
    if not healthy:
        raise typer.Exit(1)


async def _examined(
    settings: DoctorSettings, services: Collection[str], project: str | None, make_stack: bool, console: Console | None
) -> list[Finding]:
    from services.cli.doctor.examine import examine  # noqa: PLC0415 - half a second, which only this command pays

    found = []
    async for one in examine(settings, services, project, make_stack=make_stack):
        found.append(one)
        if console is not None:
            _show(console, one)
    return found


def _show(console: Console, one: Finding) -> None:
    colour = _COLOUR[one.level]
    console.print(f"[{colour}]{one.level.value:<8}[/] {one.area:<9} {escape(one.what)}")
    if one.todo:
        console.print(f"{'':<18} → {escape(one.todo)}")


def _sum_up(console: Console, found: list[Finding]) -> None:
    count = {level: sum(one.level is level for one in found) for level in Level}
    console.print(f"{count[Level.OK]} ok, {count[Level.WARNING]} warnings, {count[Level.MISSING]} missing")
