"""Running commands from an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress


class LabError(Exception):
    """Something of the lab itself did not work; the message holds the command and what it said."""


async def run(*command: str, stdin: str = "", limit: float = 120.0, check: bool = True) -> str:
    """What the command wrote to standard output.

    Args:
        limit: seconds after which it is killed.
        check: raise when it fails; else its output is given back whatever its end.

    Raises:
        LabError: it failed, or took too long.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        raise LabError(f"{' '.join(command)} took more than {limit:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own, with all that it started
            await process.wait()
    text = out.decode(errors="replace")
    if check and process.returncode:
        raise LabError(f"{' '.join(command)} ended with {process.returncode}: {(err.decode() + text)[-2000:]}")
    return text
