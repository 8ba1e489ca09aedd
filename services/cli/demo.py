"""`jeroboam demo`: the whole system on this machine, the main job done on it, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from services.cli.problems import Trouble
from services.cli.process import explain, run
from services.cli.programs import HOST
from services.cli.stack import BusKind, LocalStack
from services.cli.story import Story
from services.cli.view import View
from shared.client.api import JeroboamClient
from shared.client.login import Credentials
from shared.runtime.ports import is_free

Root = Annotated[Path, typer.Option(help="Folder for everything that is written.")]
Speed = Annotated[float, typer.Option(help="Simulated seconds per second in the simulated cloud.", min=0.1)]
AmqpUrl = Annotated[str | None, typer.Option(help="A RabbitMQ to use; without it the bus is in Postgres.")]
DatabaseUrl = Annotated[str | None, typer.Option(help="An empty Postgres database to use, as its administrator.")]
Against = Annotated[
    str | None,
    typer.Option(metavar="KEYSTONE_URL", help="Start nothing: use the system behind this Keystone, as user demo."),
]


def demo(
    root: Root = Path(".jeroboam/demo"),
    speed: Speed = 2.0,
    amqp_url: AmqpUrl = None,
    database_url: DatabaseUrl = None,
    against: Against = None,
) -> None:
    """Create a bay, grow it, use it, shrink it and delete it, on a simulated cloud. Needs nothing but Python."""
    console = Console(highlight=False)
    view = View(console)
    if against is None:
        bus: BusKind = "rabbitmq" if amqp_url else "postgres"
        stack = LocalStack(root, bus=bus, amqp_url=amqp_url, database_url=database_url, speed=speed)
        work = _on_own_stack(stack, view)
    else:
        work = _on_running_system(against, root.absolute(), view)
    try:
        trouble = run(work)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        raise typer.Exit(130) from None
    if trouble is not None:
        trouble.show(console)
        raise typer.Exit(1)


async def _on_running_system(keystone_url: str, folder: Path, view: View) -> Trouble | None:
    """The story on a system that somebody else runs; only the kubeconfig is written here."""
    credentials = Credentials(username="demo", password=SecretStr("demo"), project="demo")
    try:
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        with view.showing():
            async with JeroboamClient.connect(keystone_url, credentials) as client:
                await Story(client, view, folder).tell()
    except Exception as error:
        return explain(error, view.stages[-1].title if view.stages else "Start", "the system's own place")
    view.console.print(view.table())
    return None


async def _on_own_stack(stack: LocalStack, view: View) -> Trouble | None:
    """Start, tell the story, stop, look that nothing is left. The trouble, if any, comes back in words."""
    try:
        with view.showing():
            await _start_and_tell(stack, view)
        left = leftovers(stack)
        if left:
            return Trouble("Stop everything", "Still there: " + "; ".join(left), "Please report this as a bug.")
    except Exception as error:
        step = view.stages[-1].title if view.stages else "Start"
        return explain(error, step, stack.workspace.logs)
    view.console.print(view.table())
    view.console.print(
        f"kubeconfig (of the bay that is gone by now): {stack.workspace.root / 'kubeconfig'}", soft_wrap=True
    )
    view.console.print(f"logs: {stack.workspace.logs}", soft_wrap=True)
    view.console.print("Nothing is left running: no process, no open port, no shared memory.")
    return None


async def _start_and_tell(stack: LocalStack, view: View) -> None:
    try:
        with view.stage("Start database, simulated cloud and services"):
            await stack.start()
        await _tell(stack, view)
        with view.stage("Stop everything"):
            await stack.stop()
    finally:
        await stack.stop()


async def _tell(stack: LocalStack, view: View) -> None:
    """The story, cut short with the right cause if a program ends under it."""
    async with stack.client("demo") as client:
        story = asyncio.create_task(Story(client, view, stack.workspace.root).tell())
        failure = asyncio.create_task(stack.supervisor.failure())
        try:
            await asyncio.wait({story, failure}, return_when=asyncio.FIRST_COMPLETED)
            if failure.done():
                raise failure.result()
            await story
        finally:
            for task in (story, failure):
                task.cancel()
            await asyncio.gather(story, failure, return_exceptions=True)


def leftovers(stack: LocalStack) -> list[str]:
    """What of a stopped stack is still there: open ports, processes that work in its folder, shared memory."""
    found = [f"port {port}" for port in (stack.api_port, stack.cloud_port) if not is_free(port, HOST)]
    root = stack.workspace.root.resolve()
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked, or belongs to somebody else
            cwd = (proc / "cwd").readlink()
            if cwd.is_relative_to(root) and proc.name != str(os.getpid()):
                found.append(f"process {proc.name} ({(proc / 'comm').read_text().strip()})")
    with suppress(OSError):
        for segment in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
            _key, identifier, _mode, _size, creator, *_ = segment.split()
            if creator == str(stack.postgres_pid):
                found.append(f"shared memory {identifier}")
    return found
