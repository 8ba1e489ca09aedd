"""What every command of ours does around its work: end on a signal after cleaning up, and tell failures in words."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from services.cli.problems import Trouble
from services.cli.story import StoryFailed
from services.cli.supervisor import ProgramFailed
from services.cli.workspace import WorkspaceBusy
from shared.domain.errors import CloudError, JeroboamError
from shared.pki_client.chain import ChainError
from shared.runtime.postgres_programs import PostgresUnavailable

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run until done; SIGTERM and SIGHUP cancel the work as Ctrl-C does, so that it cleans up.

    Raises:
        KeyboardInterrupt: it was told to stop, and has cleaned up.
    """

    async def guarded() -> _T:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("asyncio.run runs a task")
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def explain(error: Exception, step: str, logs: object) -> Trouble:
    """Put an error in words; `step` is what was under way when it came."""
    match error:
        case StoryFailed():
            return Trouble(error.step, error.cause, error.advice)
        case ProgramFailed():
            return Trouble(step, str(error), f"Read that log. All logs are in {logs}.")
        case WorkspaceBusy():
            advice = "Stop that one, or start a second one beside it: .venv/bin/jeroboam up --root SOME-FOLDER"
            return Trouble(step, str(error), advice)
        case PostgresUnavailable():
            return Trouble(step, str(error), "Do what the cause says, then start again.")
        case CloudError():
            return Trouble(step, error.message, f"The logs in {logs} tell what the services did.")
        case ChainError():
            return Trouble(step, str(error), "Please report this as a bug, with certs.log.")
        case JeroboamError():
            return Trouble(step, str(error), f"The logs are in {logs}.")
        case _:
            what = f"{type(error).__name__}: {error}"
            return Trouble(step, what, f"This is a bug: please report it with the logs in {logs}.")
