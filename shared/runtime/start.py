"""How a process begins: its modules are loaded without looking for garbage among them."""

from __future__ import annotations

import gc
from importlib import import_module


def run(module: str) -> None:
    """Import a module and call its `main`.

    What modules make while they are loaded stays for as long as the process. Collecting garbage among it meanwhile is
    a fifth of a start, and later every full collection would walk through all of it again.
    """
    gc.disable()
    main = import_module(module).main
    gc.freeze()
    gc.enable()
    main()
