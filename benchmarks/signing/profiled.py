"""A module under cProfile, by CPU time of its main thread: `python -m benchmarks.signing.profiled FILE MODULE …`.

The clock of `python -m cProfile` would count the waiting for a core, of which there is much here.
"""

from __future__ import annotations

import cProfile
import runpy
import signal
import sys
import time


def main() -> None:
    """Run it until SIGTERM, then write the file."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    file, module = sys.argv[1:3]
    sys.argv = sys.argv[2:]
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        profile.disable()
        profile.dump_stats(file)


if __name__ == "__main__":
    main()
