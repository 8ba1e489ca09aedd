"""`jeroboam up`: the same stack as the demo's, kept running until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel

from services.cli.access import write_access
from services.cli.demo import AmqpUrl, DatabaseUrl, Root, Speed
from services.cli.engines import Engines
from services.cli.process import explain, run
from services.cli.stack import LocalStack
from shared.runtime.ports import is_free

API_PORT, CLOUD_PORT = 9511, 9510
"""Preferred ports: the API's is the one that Magnum's clients know; a free one is taken when they are in use."""

LOOK = 0.5
"""Seconds from one look to the next, whether there are bays whose API is to be played."""

PASSED_ON = ("JEROBOAM_POLICY_FILE", "JEROBOAM_BUSY", "JEROBOAM_LOG_LEVEL")
"""Settings of the caller's that the services get; all others are the stack's own."""

Replicas = Annotated[int, typer.Option(help="Processes of each worker.", min=1, max=8)]


def up(
    root: Root = Path(".jeroboam"),
    speed: Speed = 1.0,
    replicas: Replicas = 1,
    amqp_url: AmqpUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Keep the whole system running on this machine, with a simulated cloud; Ctrl-C stops all of it."""
    console = Console(highlight=False)
    stack = LocalStack(
        root,
        bus="rabbitmq" if amqp_url else "postgres",
        amqp_url=amqp_url,
        database_url=database_url,
        replicas=replicas,
        speed=speed,
        restart=True,
        api_port=API_PORT if is_free(API_PORT) else 0,
        cloud_port=CLOUD_PORT if is_free(CLOUD_PORT) else 0,
        extra_environment=passed_on(os.environ),
        on_restart=console.print,
    )
    try:
        run(_keep(stack, console))
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
    except Exception as error:
        explain(error, "Keep the system running", stack.workspace.logs).show(console)
        raise typer.Exit(1) from None


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment the services get; a file by its whole path, since they run in another folder."""
    found = {name: environment[name] for name in PASSED_ON if environment.get(name)}
    if policy := found.get("JEROBOAM_POLICY_FILE"):
        found["JEROBOAM_POLICY_FILE"] = str(Path(policy).absolute())
    return found


async def _keep(stack: LocalStack, console: Console) -> None:
    console.print("Starting Postgres, the simulated cloud and the four services …")
    async with stack, stack.client("demo") as demo, stack.client("alt") as alt:
        folder = stack.workspace.root
        write_access(folder, stack.keystone_url, api=stack.api_url, control=stack.control_url)
        console.print(Panel.fit(_words(stack, folder), title="Jeroboam is running"))
        players = [asyncio.create_task(Engines(one, stack.control_url).keep(LOOK)) for one in (demo, alt)]
        try:
            raise await stack.supervisor.failure()
        finally:
            for player in players:
                player.cancel()
            await asyncio.gather(*players, return_exceptions=True)


def _words(stack: LocalStack, folder: Path) -> str:
    with suppress(ValueError):
        folder = folder.relative_to(Path.cwd())
    return (
        f"API       {stack.api_url}\n"
        f"Keystone  {stack.keystone_url}\n"
        f'Faults    {stack.control_url}      (README, "Break it")\n'
        f"Logs      {folder / 'logs'}\n\n"
        f"source {folder / 'openrc'}      or openrc.alt, openrc.reader, openrc.admin\n"
        f"export OS_CLIENT_CONFIG_FILE={folder / 'clouds.yaml'}\n"
        "Clouds: demo, alt, reader, admin\n\n"
        "Ctrl-C stops everything."
    )
