"""Exchanges, queues and bindings, derived from the message registry as data.

    publisher ─▶ PREFIX.messages (direct, key = message name) ─▶ PREFIX.certs | .provisioner | .scaler
    failed    ─▶ PREFIX.delay.1000ms (fanout, key = queue) ─▶ queue of that name, TTL ─▶ back to the queue
    200 deliveries without an outcome ─▶ PREFIX.certs.dead ─▶ the dead-letter table

One delay queue per step: a message behind another with a longer delay in one queue would wait for it. Messages that
nobody acts on yet go to PREFIX.events, which keeps the newest 1,000, so that publishing them stays strict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from uuid import uuid4

from shared.contracts import registry

DELIVERY_LIMIT: Final = 200
"""Deliveries after which the broker gives up on a message. High, as it also counts messages that were only
prefetched by a process that died; real attempts are counted in our own header."""

EVENTS_KEPT: Final = 1000
REPLY_QUEUE_EXPIRES: Final = 60.0
"""Seconds after which a reply queue without a reader is removed, with what is in it."""

_SAFE_DEAD_LETTERING: Final = MappingProxyType(
    {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
)

Arguments = Mapping[str, str | int]


@dataclass(frozen=True)
class Exchange:
    """A durable exchange."""

    name: str
    type: Literal["direct", "fanout"]


@dataclass(frozen=True)
class Queue:
    """A durable queue and its arguments."""

    name: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    """An exchange's messages with this key go to this queue."""

    exchange: str
    queue: str
    key: str


class Names:
    """How things on the broker are called under a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.messages = f"{prefix}.messages"
        self.events = f"{prefix}.events"

    def queue(self, service: str) -> str:
        """The queue of a service."""
        return f"{self.prefix}.{service}"

    def dead(self, service: str) -> str:
        """Where the broker puts what it gave up on, until the service has written it down."""
        return f"{self.prefix}.{service}.dead"

    def delay(self, step: float) -> str:
        """Exchange and queue of a delay step in seconds."""
        return f"{self.prefix}.delay.{round(step * 1000)}ms"

    def new_reply(self, service: str) -> str:
        """A fresh address for replies to one process."""
        return f"{self.prefix}.reply.{service}.{uuid4().hex}"

    def is_reply(self, address: str) -> bool:
        """Tell whether an address is a reply queue, so that a request cannot aim a reply at a service's queue."""
        return address.startswith(f"{self.prefix}.reply.")


@dataclass(frozen=True)
class Topology:
    """Everything that must exist on the broker."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


def topology(prefix: str, delay_steps: Sequence[float]) -> Topology:
    """Derive exchanges, queues and bindings from the registry."""
    names = Names(prefix)
    exchanges = [Exchange(names.messages, "direct"), *(Exchange(names.delay(step), "fanout") for step in delay_steps)]
    queues = [_events_queue(names)]
    for service in registry.CONSUMERS:
        queues += [_service_queue(names, service), Queue(names.dead(service), {"x-queue-type": "quorum"})]
    queues += [_delay_queue(names, step) for step in delay_steps]
    return Topology(tuple(exchanges), tuple(queues), (*_message_bindings(names), *_delay_bindings(names, delay_steps)))


def reply_queue_arguments() -> Arguments:
    """Arguments of a reply queue: durable (so that it survives a broker restart), gone when its reader is."""
    return {"x-expires": round(REPLY_QUEUE_EXPIRES * 1000), "x-message-ttl": round(REPLY_QUEUE_EXPIRES * 1000)}


def _service_queue(names: Names, service: str) -> Queue:
    return Queue(
        names.queue(service),
        {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": names.dead(service),
            **_SAFE_DEAD_LETTERING,
        },
    )


def _delay_queue(names: Names, step: float) -> Queue:
    """No dead-letter key: the message keeps its own, the queue that it came from."""
    return Queue(
        names.delay(step),
        {
            "x-queue-type": "quorum",
            "x-message-ttl": round(step * 1000),
            "x-dead-letter-exchange": "",
            **_SAFE_DEAD_LETTERING,
        },
    )


def _events_queue(names: Names) -> Queue:
    return Queue(names.events, {"x-queue-type": "quorum", "x-max-length": EVENTS_KEPT, "x-overflow": "drop-head"})


def _message_bindings(names: Names) -> list[Binding]:
    bound = [
        Binding(names.messages, names.queue(service), cls.name)
        for service, messages in registry.CONSUMERS.items()
        for cls in messages
    ]
    return [*bound, *(Binding(names.messages, names.events, cls.name) for cls in registry.unbound())]


def _delay_bindings(names: Names, delay_steps: Sequence[float]) -> list[Binding]:
    return [Binding(names.delay(step), names.delay(step), "") for step in delay_steps]
