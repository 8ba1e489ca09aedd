"""What a command ends with: its exit status, and a failure in words with what to do next."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rich.console import Console

from services.cli.output import plain_text
from shared.domain.errors import CloudError, JeroboamError


class Exit(IntEnum):
    """Exit statuses of every command. docs/user-guide/command-line.md has the same table for people."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    NO_ANSWER = 5
    TIMED_OUT = 6
    INTERRUPTED = 130


MEANING: Final[Mapping[Exit, str]] = {
    Exit.OK: "done; accepted, where nothing is waited for",
    Exit.FAILED: "the operation or a check failed; a file is in the way",
    Exit.USAGE: "the command line is wrong",
    Exit.NOT_FOUND: "there is no such thing in this project",
    Exit.REFUSED: "the service refuses (4xx): values, rights, quotas, names",
    Exit.NO_ANSWER: "no login, no answer, or not just now (5xx, 429)",
    Exit.TIMED_OUT: "--timeout is over; the work goes on",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); what was asked for goes on",
}


def table_of_exits() -> str:
    """The statuses with their meaning, a line each, for the end of `jeroboam --help`."""
    return "Exit status:\n" + "\n".join(f"{code.value:>4}  {meaning}" for code, meaning in MEANING.items())


LOGIN: Final = "Name a cloud of your clouds.yaml with --os-cloud, or source your project's openrc file first."

_BY_STATUS: Final[Mapping[int | None, str]] = {
    400: "Do what the answer says, then run this again.",
    401: f"The API does not take Keystone's token: are both of the same cloud? {LOGIN}",
    403: "Ask who made it, or an administrator of the project. An answer about quotas: delete what you do not need.",
    404: "Look at the name and at the project: jeroboam bay list (or baymodel list) shows what this one has.",
    409: "Look at what is under way, then run this again: jeroboam bay operations NAME",
    429: "You asked very often. Wait a minute, then run this again.",
    None: "Look at the address: --endpoint names another one than the catalog's, OS_AUTH_URL is Keystone's.",
}


class Problem(JeroboamError):
    """A command cannot do what it was asked for: the message says why, `advice` what helps, `code` how it ends."""

    def __init__(self, cause: str, advice: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(cause)
        self.advice = advice
        self.code = code


@dataclass(frozen=True)
class Trouble:
    """A failure for people: where, why, and what to do."""

    step: str
    cause: str
    advice: str
    code: Exit = Exit.FAILED

    def show(self, console: Console) -> None:
        """Three labelled paragraphs."""
        for label, style, text in (
            ("\nFailed:", "bold red", self.step),
            ("Cause:", "bold", self.cause),
            ("What to do:", "bold", self.advice),
        ):
            console.print(f"[{style}]{label}[/]", plain_text(text), soft_wrap=True)


def trouble_of(error: Exception, step: str, advice: Mapping[int | None, str] | None = None) -> Trouble:
    """Any error in words; `advice` is what helps against refusals by their HTTP status, where a command knows more."""
    match error:
        case Problem():
            return Trouble(step, str(error), error.advice, error.code)
        case CloudError():
            return _of_cloud(error, step, {**_BY_STATUS, **(advice or {})})
        case JeroboamError():  # a word that cannot be part of an address, before it is sent
            return Trouble(step, str(error), _BY_STATUS[404], Exit.NOT_FOUND)
        case OSError():
            return Trouble(step, str(error), "Look at that file or folder: may you read and write it?")
        case _:
            what = f"{type(error).__name__}: {error}"
            return Trouble(step, what, "This is a bug: please report it with what you did.")


def _of_cloud(error: CloudError, step: str, advice: Mapping[int | None, str]) -> Trouble:
    if error.service == "identity" and error.status is not None and error.status < 500:
        return Trouble(step, error.message, _login(), Exit.NO_ANSWER)
    if error.status is None or error.status < 400:
        return Trouble(step, error.message, advice[None], Exit.NO_ANSWER)
    if error.status >= 500 or error.status == 429:
        return Trouble(step, error.message, _later(error, advice), Exit.NO_ANSWER)
    code = {401: Exit.NO_ANSWER, 404: Exit.NOT_FOUND}.get(error.status, Exit.REFUSED)
    return Trouble(step, error.message, advice.get(error.status, advice[400]), code)


def _login() -> str:
    if os.environ.get("OS_TOKEN"):
        return (
            "OS_TOKEN has expired, or is of another cloud. Get a new one with: openstack token issue. "
            "Or unset OS_TOKEN and OS_AUTH_TYPE and log in with a password."
        )
    return f"Keystone does not take this name, password or project. {LOGIN}"


def _later(error: CloudError, advice: Mapping[int | None, str]) -> str:
    if error.retry_after:
        return f"Run this again in {max(1, round(error.retry_after))} s: the service asks for that time."
    return advice.get(error.status, "Run this again in a minute; if it goes on, tell the operator of this cloud.")
