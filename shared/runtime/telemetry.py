"""The figures that every process keeps, and the endpoint that shows them to Prometheus.

Labels are of bounded variety (names of messages, steps, services, outcomes), never ids.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry(auto_describe=True)

MESSAGES = Counter(
    "jeroboam_messages",
    "Messages by name and outcome (published, handled, retried).",
    ["name", "outcome"],
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "jeroboam_dead_letters", "Messages set aside, by name and kind of reason.", ["name", "reason"], registry=REGISTRY
)
STEPS = Counter(
    "jeroboam_steps",
    "Runs of operation steps by name and outcome (done, wait, back, broke, trouble, surprise, superseded, dropped).",
    ["step", "outcome"],
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "jeroboam_step_seconds", "Duration of one run of a step, seconds.", ["step"], registry=REGISTRY
)
CLOUD_CALLS = Counter(
    "jeroboam_cloud_calls",
    "Calls to the cloud by service, method and answer.",
    ["service", "method", "status"],
    registry=REGISTRY,
)
CLOUD_SECONDS = Histogram(
    "jeroboam_cloud_call_seconds", "Duration of a call to the cloud, seconds.", ["service"], registry=REGISTRY
)
CIRCUIT_OPEN = Gauge(
    "jeroboam_circuit_open", "1 while calls to a cloud service are held back.", ["service"], registry=REGISTRY
)

HEAT_NOTIFICATIONS = Counter(
    "jeroboam_heat_notifications",
    "Heat's notifications by outcome (ended, under_way, other, rubbish, failed).",
    ["outcome"],
    registry=REGISTRY,
)
HEAT_LISTENING = Gauge("jeroboam_heat_listening", "1 while what Heat publishes comes to our queue.", registry=REGISTRY)


def start_metrics_server(port: int | None, host: str = "127.0.0.1") -> None:
    """Serve the figures at ``/metrics`` from a background thread; None: no endpoint.

    Raises:
        OSError: the port is taken.
    """
    if port is not None:
        start_http_server(port, addr=host, registry=REGISTRY)
