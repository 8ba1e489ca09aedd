"""The conversations by service: fixed sequences of requests, such as our product makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scripts.record_answers.conversations import (
    compute,
    identity,
    image,
    key_manager,
    load_balancer,
    network,
    orchestration,
    volume,
)
from scripts.record_answers.talk import Talk

Conversation = Callable[[Talk], None]

SERVICES: Final[Mapping[str, Mapping[str, Conversation]]] = {
    "compute": compute.CONVERSATIONS,
    "identity": identity.CONVERSATIONS,
    "image": image.CONVERSATIONS,
    "key-manager": key_manager.CONVERSATIONS,
    "load-balancer": load_balancer.CONVERSATIONS,
    "network": network.CONVERSATIONS,
    "orchestration": orchestration.CONVERSATIONS,
    "volumev3": volume.CONVERSATIONS,
}
"""Service type → name → conversation."""
