"""What the steps of a healing tell one another, in its request and its memo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEAD: Final = "dead"
"""In the memo: the server cannot be restarted."""
RECOVERED: Final = "recovered"
"""In the memo: the node is well again, so nothing else is done."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The node that is healed."""

    server_id: str
    name: str
    role: str


def node_of(request: Mapping[str, object]) -> Patient:
    """Whom a healing is about."""
    return Patient(str(request["server_id"]), str(request["node"]), str(request["role"]))
