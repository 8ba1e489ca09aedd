"""`jeroboam dead`: messages between the services that could not be handled, over the public API, for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, facts, rows, screen, show
from shared.client.api import JeroboamClient
from shared.contracts.http.dead_letters import DeadLetterBrief, DeadLetterFull

app = typer.Typer(help="Messages that could not be handled.", no_args_is_help=True)

_SHOWN: Final = 80
"""Characters of a reason in a list."""
_ADVICE: Final[Mapping[int | None, str]] = {
    403: "Dead letters are for administrators of the cloud (policy dead_letter). Log in as one.",
    404: "Look at the id: jeroboam dead list --all shows what there is. Somebody else may have dropped it.",
    409: "Do what the answer says.",
}

Letters = Annotated[list[str], typer.Argument(metavar="LETTER…", help="Ids, from the list.")]


@app.callback()
def dead() -> None:
    """Messages that could not be handled: set aside with the reason, until somebody sends them again or drops them.

    Who you are comes from clouds.yaml or the OS_… variables, as for the openstack command; it takes an administrator.
    """


@app.command("list")
def list_letters(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were sent again.")] = False,
    service: Annotated[str | None, typer.Option(help="Only those that this service set aside.")] = None,
    name: Annotated[str | None, typer.Option(help="Only those of this message: bay.created.")] = None,
    limit: Annotated[int, typer.Option(help="So many at most, the newest.", min=1)] = 100,
    output: Output = Format.TABLE,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
) -> None:
    """List dead letters, newest first."""
    resent = None if everything else False

    async def found(client: JeroboamClient) -> list[DeadLetterBrief]:
        return await client.dead_letters(service=service, name=name, resent=resent, limit=limit)

    letters = ask("List dead letters", os_cloud, endpoint, found, advice=_ADVICE)
    show(
        letters,
        output,
        lambda: rows(
            letters,
            {
                "ID": lambda one: one.id,
                "SINCE": lambda one: one.created_at[:19],
                "SERVICE": lambda one: one.service,
                "MESSAGE": lambda one: one.name,
                "SENT AGAIN": lambda one: (one.resent_at or "")[:19],
                "REASON": lambda one: _short(one.reason),
            },
        ),
    )


@app.command("show")
def show_letter(
    letter: Annotated[str, typer.Argument(help="Its id, from the list.")],
    output: Output = Format.TABLE,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
) -> None:
    """Show one dead letter: what arrived, why it could not be handled, and whether sending it again can help."""
    found = ask(
        f"Show the dead letter {letter}", os_cloud, endpoint, lambda client: client.dead_letter(letter), advice=_ADVICE
    )
    show(found, output, lambda: facts({**found.model_dump(exclude={"obstacle"}), "send it again": _verdict(found)}))


@app.command()
def resend(letters: Letters, output: Output = Format.TABLE, os_cloud: Cloud = None, endpoint: Endpoint = None) -> None:
    """Send messages again, each under its own id. Mend first what is in the reason.

    Seldom needed: a service finds its operations within seconds by itself. One that dies again is another letter.
    """

    async def send(client: JeroboamClient) -> list[DeadLetterFull]:
        sent = []
        for letter in letters:
            sent.append(await client.resend(letter))
            screen(stderr=True).print(f"Sent again: {letter}")
        return sent

    sent = ask("Send dead letters again", os_cloud, endpoint, send, advice=_ADVICE)
    if output is not Format.TABLE:
        show(sent, output, lambda: "")


@app.command()
def drop(letters: Letters, os_cloud: Cloud = None, endpoint: Endpoint = None) -> None:
    """Forget messages that could not be handled."""

    async def forget(client: JeroboamClient) -> None:
        for letter in letters:
            await client.drop(letter)
            screen(stderr=True).print(f"Dropped: {letter}")

    ask("Drop dead letters", os_cloud, endpoint, forget, advice=_ADVICE)


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _verdict(letter: DeadLetterFull) -> str:
    return letter.obstacle or f"jeroboam dead resend {letter.id}"
