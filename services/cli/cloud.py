"""How commands reach the public API: who asks and where, one client, and failures in words with an exit status.

@app.command("list")
def list_things(os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE) -> None:
    found = ask("List the things", os_cloud, endpoint, lambda client: client.things())
    show(found, output, lambda: rows(found, {"NAME": lambda one: one.name}))
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Final, TypeVar

import typer

from services.cli.output import screen
from services.cli.problems import LOGIN, Exit, Problem, trouble_of
from services.cli.process import run
from shared.client.api import JeroboamClient
from shared.contracts.http.baymodels import BaymodelFull
from shared.contracts.http.bays import BayBrief
from shared.domain.errors import CloudError, InvalidInput, JeroboamError
from shared.openstack.auth import PersonAuth
from shared.runtime import logging
from shared.runtime.egress import EgressPolicy

_T = TypeVar("_T")

_NOWHERE: Final = "No cloud is configured: neither --os-cloud nor OS_CLOUD nor OS_AUTH_URL says where to log in."

Cloud = Annotated[
    str | None, typer.Option("--os-cloud", metavar="CLOUD", envvar="OS_CLOUD", help="A cloud in your clouds.yaml.")
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="JEROBOAM_API",
        help="Where the API is, with or without /v1; else the catalog says (container-infra).",
    ),
]


def ask(
    step: str,
    os_cloud: str | None,
    endpoint: str | None,
    work: Callable[[JeroboamClient], Awaitable[_T]],
    *,
    name: str | None = None,
    advice: Mapping[int | None, str] | None = None,
) -> _T:
    """Sign in, do the work and return what it found. A failure is told in words and ends the command.

    Args:
        step: what is being done, as a sentence for people.
        name: of the bay or baymodel that it is about; where it means several things, the answer lists their ids.
        advice: what helps against a refusal, by its HTTP status, where it is not as for other commands.

    Raises:
        typer.Exit: it failed, with the status that `services.cli.problems.Exit` has for that.
    """

    async def signed_in() -> _T:
        async with client_of(os_cloud, endpoint) as client:
            try:
                return await work(client)
            except CloudError as error:
                raise await _told_apart(client, error, name) from None

    with told(step, advice=advice):
        return run(signed_in())


@contextmanager
def told(step: str, *, advice: Mapping[int | None, str] | None = None) -> Iterator[None]:
    """The outermost door of a command: what goes wrong inside becomes words on standard error and an exit status."""
    logging.configure("cli", "ERROR")  # libraries warn of what we tell in our own words
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BrokenPipeError:
        raise  # who read has gone, as with `| head`: typer ends quietly
    except Exception as error:
        trouble = trouble_of(error, step, advice)
        trouble.show(screen(stderr=True))
        raise typer.Exit(trouble.code) from None


def client_of(os_cloud: str | None, endpoint: str | None, *, interactive: bool = True) -> JeroboamClient:
    """A client of who runs the command; `endpoint` as people write it, `interactive`: a password may be asked for.

    Raises:
        Problem: nothing says which cloud, or what is said does not suffice.
    """
    egress = EgressPolicy()
    try:
        may_ask = interactive and sys.stdin.isatty()
        person = PersonAuth(os_cloud, egress, ask_password=_ask_password if may_ask else None)
    except InvalidInput as error:
        cause = _NOWHERE if "auth_url" in error.message else error.message
        raise Problem(cause, LOGIN, Exit.NO_ANSWER) from None
    api_url = endpoint and (endpoint.rstrip("/").removesuffix("/v1") + "/v1")
    return JeroboamClient.of_person(person, egress, api_url=api_url or None)


async def _told_apart(client: JeroboamClient, error: CloudError, name: str | None) -> JeroboamError:
    """For a name that means several things: which."""
    if error.status != 409 or name is None or "exist with same name" not in error.message:
        return error
    found: Sequence[BaymodelFull | BayBrief]
    try:
        found = await (client.baymodels() if "Multiple baymodels" in error.message else client.bays())
    except CloudError:
        return error
    ids = [one.uuid for one in found if one.name == name]
    if not ids:
        return error
    return Problem(f"{name} is the name of several: {', '.join(ids)}.", "Say one of these ids instead.", Exit.REFUSED)


def _ask_password(prompt: str | None = None) -> str:
    return getpass.getpass(prompt or "Password: ", stream=sys.stderr)
