"""`jeroboam bay resize`, `upgrade`, `rotate` and `delete`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

import typer

from services.cli.bays.names import BayName, Timeout, Wait, complete_baymodels
from services.cli.bays.pictures import bay_facts
from services.cli.bays.waiting import Change, Patience, ask_for
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, screen, show
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import BayFull

_RESIZES: Final = ("resize", "resize_masters")
_UPGRADE_ADVICE: Final[Mapping[int | None, str]] = {
    409: "If the baymodel does not fit, name another one (jeroboam baymodel list). Else wait for what is under way "
    "(jeroboam bay operations NAME), then run this again.",
}

Nodegroup = Annotated[
    str | None, typer.Option(metavar="NAME", help="The nodegroup, by name or uuid; else the bay's own nodes.")
]


def resize(
    name: BayName,
    node_count: Annotated[int, typer.Argument(metavar="COUNT", min=0, help="How many nodes there are to be.")],
    nodegroup: Nodegroup = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVER", help="Nova id of a node that is to leave; may be repeated."),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Change the number of nodes. Nodes that leave are emptied first."""
    change = Change(f"Resize the bay {name} to {node_count} nodes", name, _RESIZES, Patience(wait, timeout))
    _change(
        change,
        os_cloud,
        endpoint,
        output,
        lambda client, bay: client.resize_nodegroup(bay, node_count, nodegroup=nodegroup, leaving=remove or ()),
    )


def upgrade(
    name: BayName,
    baymodel: Annotated[
        str,
        typer.Option(
            "--baymodel",
            "-b",
            metavar="NAME",
            help="What the bay is to become like, by name or uuid.",
            autocompletion=complete_baymodels,
        ),
    ],
    batch: Annotated[int, typer.Option(min=1, metavar="NODES", help="How many nodes are replaced at a time.")] = 1,
    nodegroup: Nodegroup = None,
    wait: Wait = False,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Replace the nodes by those of another baymodel, a few at a time."""
    change = Change(f"Upgrade the bay {name} to {baymodel}", name, ("upgrade",), Patience(wait, timeout))
    _change(
        change,
        os_cloud,
        endpoint,
        output,
        lambda client, bay: client.upgrade_bay(bay, baymodel, at_a_time=batch, nodegroup=nodegroup),
        advice=_UPGRADE_ADVICE,
    )


def rotate(
    name: BayName,
    wait: Wait = False,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Give a bay new certificate authorities. Afterwards everybody needs new client certificates (bay config)."""
    change = Change(f"Rotate the authorities of the bay {name}", name, ("rotate_ca",), Patience(wait, timeout))
    _change(change, os_cloud, endpoint, output, lambda client, bay: client.rotate_authorities(bay))


def delete(
    name: BayName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="For administrators: leave behind what cannot be removed, also while it goes on."),
    ] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
) -> None:
    """Delete a bay with its servers, its networks and all that runs on it.

    Asks first. Where nobody can be asked, in a script, it wants --yes.
    """
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("say --yes, since there is no terminal to ask at", param_hint="--yes")
    step = f"Delete the bay {name}"
    bay = ask(step, os_cloud, endpoint, lambda client: client.bay(name), name=name)
    if not yes:
        _confirm(f"Delete the bay {bay.name} ({bay.uuid}) with its {bay.node_count} nodes and all that runs on them?")
    change = Change(step, name, ("delete",), Patience(wait, timeout))
    ask(step, os_cloud, endpoint, lambda client: _deleted(client, change, bay.uuid, force=force))
    if wait:
        screen(stderr=True).print("The bay is gone.")


def _confirm(question: str) -> None:
    """Only a yes is a yes. Asked on standard error (typer's own question would leave a space on standard output)."""
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort


def _change(
    change: Change,
    os_cloud: str | None,
    endpoint: str | None,
    output: Format,
    work: Callable[[JeroboamClient, str], Awaitable[str]],
    *,
    advice: Mapping[int | None, str] | None = None,
) -> None:
    async def changed(client: JeroboamClient) -> BayFull:
        bay = await client.bay(change.name)
        await ask_for(client, change, lambda: work(client, bay.uuid), bay=bay.uuid)
        return await client.bay(bay.uuid)

    found = ask(change.title, os_cloud, endpoint, changed, name=change.name, advice=advice)
    show(found, output, lambda: bay_facts(found))


async def _deleted(client: JeroboamClient, change: Change, bay: str, *, force: bool) -> None:
    async def asked() -> str:
        await client.delete_bay(bay, force=force)
        return bay

    await ask_for(client, change, asked, bay=bay)
