"""The bus: one port (`shared.bus.port`), two carriers (RabbitMQ, Postgres), chosen by `make_bus`."""

from __future__ import annotations

from collections.abc import Sequence

from shared.bus.delivery import Courier
from shared.bus.port import DELAY_STEPS, AfterHandler, Bus, OnDead
from shared.bus.postgres import PostgresBus
from shared.bus.rabbitmq import RabbitBus

__all__ = ["make_bus"]


def make_bus(
    *,
    amqp_url: str | None,
    database_url: str,
    service: str,
    on_dead: OnDead,
    redelivery_seconds: float = 30.0,
    after_handler: AfterHandler | None = None,
    prefix: str = "jeroboam",
    delay_steps: Sequence[float] = DELAY_STEPS,
    heartbeat: int = 10,
    close_grace: float = 5.0,
) -> Bus:
    """Make the bus of one process; nothing is connected before `start`.

    Args:
        amqp_url: RabbitMQ (amqp:// or amqps://); None or empty: the Postgres bus in `database_url`.
        database_url: as libpq writes it, with `?host=/directory` for a Unix socket.
        service: name of the service, for connection names and the reply address.
        on_dead: writes a dead letter; the message is acknowledged only after it returned.
        redelivery_seconds: Postgres only: lease of a message whose reader died (RabbitMQ notices at once).
        after_handler: called between a handler's return and the acknowledgement (kill point of the tests).
        prefix: of every name on the broker, so that installations and tests can share one.
        delay_steps: seconds until the second and later attempts; part of the names of RabbitMQ's delay queues.
        heartbeat: seconds between proofs of life; three missed ones make the bus unhealthy.
        close_grace: seconds that `close` waits for running handlers.
    """
    courier = Courier(on_dead, after_handler, tuple(delay_steps))
    if amqp_url:
        return RabbitBus(
            amqp_url, service=service, courier=courier, prefix=prefix, heartbeat=heartbeat, close_grace=close_grace
        )
    return PostgresBus(
        database_url,
        service=service,
        courier=courier,
        prefix=prefix,
        redelivery_seconds=redelivery_seconds,
        heartbeat=heartbeat,
        close_grace=close_grace,
    )
