"""Publishing one message and knowing what became of it.

The channel must have been opened with `publisher_confirms=True, on_return_raises=True`, since a confirm alone also
comes for a message that no queue received.
"""

from __future__ import annotations

from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import DeliveryError, PublishError

from shared.bus.amqp_link import ERRORS

NOT_CONFIRMED: Final = (PublishError, DeliveryError, *ERRORS)
"""What `publish_confirmed` and a time limit around it raise; `why` puts it into words."""


async def publish_confirmed(channel: AbstractChannel, exchange: str, key: str, message: aio_pika.Message) -> None:
    """Return when a queue has the message; `exchange` "" is the default one. Raises one of `NOT_CONFIRMED`."""
    target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await target.publish(message, key, mandatory=True)


def why(error: BaseException, key: str) -> str:
    """Why a message under `key` is not confirmed, for logs."""
    if isinstance(error, PublishError):
        return f"no queue receives {key[:100]!r}"
    if isinstance(error, DeliveryError):
        return "refused by the broker"
    if isinstance(error, TimeoutError):
        return "no confirmation in time"
    return f"broker lost: {type(error).__name__}"
