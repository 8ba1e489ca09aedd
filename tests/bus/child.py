"""A consumer process of the crash tests: takes one message and is killed, by its parent or by its own hand.

    python child.py ARGUMENTS handling|handled
`handling`: says so on its standard output inside the handler and hangs there until the parent kills it.
`handled`: kills itself after the handler, before the acknowledgement.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from shared.bus import make_bus
from shared.bus.port import DeadLetter
from shared.contracts import Message


async def _main() -> None:
    async def on_dead(letter: DeadLetter) -> None:
        raise AssertionError(letter.reason)

    async def handle(message: Message) -> None:
        sys.stdout.write(f"handling {message.name}\n")
        sys.stdout.flush()
        if sys.argv[2] == "handling":
            await asyncio.Event().wait()

    def die(_message: Message) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    bus = make_bus(service="certs", on_dead=on_dead, after_handler=die, **json.loads(sys.argv[1]))
    await bus.consume("certs", handle, concurrency=1)
    await bus.start()
    await asyncio.Event().wait()


asyncio.run(_main())
