"""A listener as other OpenStack services write them: oslo.messaging's own, in a process of its own.

`python -m tests.bus.oslo_listener URL EXCHANGE TOPIC [durable|quorum]` writes one JSON line when it listens and one
per notification, until its standard input ends. It runs apart because the library brings its own threads and warnings.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import oslo_messaging  # type: ignore[import-not-found, import-untyped, unused-ignore]
from oslo_config import cfg  # type: ignore[import-not-found, import-untyped, unused-ignore]


def say(**what: object) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Endpoint:
    """Tells everything that it is called with."""

    def info(self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
        """A notification of priority info."""
        say(
            priority="info",
            user=ctxt.get("user_id"),
            publisher_id=publisher_id,
            event_type=event_type,
            payload=payload,
            metadata=metadata,
        )

    def error(self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
        """A notification of priority error."""
        say(
            priority="error",
            user=ctxt.get("user_id"),
            publisher_id=publisher_id,
            event_type=event_type,
            payload=payload,
            metadata=metadata,
        )


def main(url: str, exchange: str, topic: str, flags: str = "") -> None:
    """Listen until told to stop."""
    logging.basicConfig(level=logging.WARNING)
    conf = cfg.ConfigOpts()
    conf([])
    transport = oslo_messaging.get_notification_transport(conf, url=url.replace("amqp://", "rabbit://", 1))
    conf.set_override("control_exchange", exchange)
    conf.set_override("amqp_durable_queues", flags == "durable", group="oslo_messaging_rabbit")
    conf.set_override("rabbit_quorum_queue", flags == "quorum", group="oslo_messaging_rabbit")
    target = oslo_messaging.Target(exchange=exchange, topic=topic)
    listener = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
    listener.start()
    say(listening=True)
    sys.stdin.read()
    listener.stop()
    listener.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
