"""The authority's process with a stopwatch in its event loop: `python -m benchmarks.signing.certs FOLDER`.

To `FOLDER/loop` goes a line every 100 ms: the time, the loop's worst lag since, and how long the longest taking of an
RSA key from the pool lasted, all in seconds. Keys are taken, three a second, while `FOLDER/take` exists.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from services.certs.factory import Deps
from services.certs.main import make_app
from services.certs.settings import CertsSettings
from shared.runtime.settings import load

_EVERY: Final = 0.01
_LINE: Final = 10
_KEYS_PER_SECOND: Final = 3.0


class Stopwatch:
    """What was worst since the last line."""

    def __init__(self, folder: Path) -> None:
        self._take, self._file = folder / "take", folder / "loop"
        self._taking = 0.0

    async def lag(self) -> None:
        """Sleep, and see how much longer it lasted."""
        with self._file.open("a") as file:
            while True:
                await self._line(file)

    async def keys(self, deps: Deps) -> None:
        """Take keys as bays that are made do."""
        while True:
            await asyncio.sleep(1 / _KEYS_PER_SECOND)
            if self._take.exists():
                begin = time.monotonic()
                await deps.rsa_keys.take()
                self._taking = max(self._taking, time.monotonic() - begin)

    async def _line(self, file: TextIO) -> None:
        worst = 0.0
        for _ in range(_LINE):
            begin = time.monotonic()
            await asyncio.sleep(_EVERY)
            worst = max(worst, time.monotonic() - begin - _EVERY)
        print(time.monotonic(), worst, self._taking, file=file, flush=True)
        self._taking = 0.0


def main() -> None:
    """Run the service until told to stop."""
    watch = Stopwatch(Path(sys.argv.pop(1)))
    app = make_app(load(CertsSettings))
    dataclasses.replace(
        app, background=lambda deps: [*app.background(deps), watch.lag, partial(watch.keys, deps)]
    ).run()


if __name__ == "__main__":
    main()
