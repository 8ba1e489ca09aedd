"""Ports for servers whose number must be known before they start."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_LOWEST, _HIGHEST = 15000, 32000  # below the ephemeral range, where an outgoing connection could take the number


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now. Another process may take it before its user does: tell that from the error."""
    while not is_free(port := random.randint(_LOWEST, _HIGHEST), host):
        continue
    return port
