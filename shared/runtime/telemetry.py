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


SIGNATURES = Counter(
    "jeroboam_sign_requests",
    "Sign requests that ended, by profile and outcome (signed, refused, expired).",
    ["profile", "outcome"],
    registry=REGISTRY,
)
SIGN_BATCH = Histogram(
    "jeroboam_sign_batch",
    "Sign requests that were decided together.",
    buckets=(1, 2, 4, 8, 16, 24, 32),
    registry=REGISTRY,
)
SIGN_SECONDS = Histogram(
    "jeroboam_sign_seconds", "From the request's row to its end, seconds.", ["outcome"], registry=REGISTRY
)
LINT_FAILURES = Counter(
    "jeroboam_certificate_lint_failures",
    "Certificates that were not signed because what was to be signed broke a rule: a bug of ours.",
    registry=REGISTRY,
)
AUTHORITIES_ENDING = Gauge(
    "jeroboam_authorities_ending",
    "Authorities of bays that end soon (state soon) or have ended (state ended) and are not rotated.",
    ["state"],
    registry=REGISTRY,
)
LEAVES_ENDING = Gauge(
    "jeroboam_node_certificates_ending",
    "Nodes whose own certificate ends soon (state soon) or has ended (state ended) without being renewed.",
    ["state"],
    registry=REGISTRY,
)
EARLIEST_END = Gauge(
    "jeroboam_earliest_authority_end_seconds",
    "Seconds until the first authority of a bay ends that is not rotated; below 0: it has ended.",
    registry=REGISTRY,
)
CSR_REFUSALS = Counter(
    "jeroboam_csr_refusals",
    "Certificate requests that the gateway refused, by kind of reason.",
    ["why"],
    registry=REGISTRY,
)


def start_metrics_server(port: int | None, host: str = "127.0.0.1") -> None:
    """Serve the figures at ``/metrics`` from a background thread; None: no endpoint.

    Raises:
        OSError: the port is taken.
    """
    if port is not None:
        start_http_server(port, addr=host, registry=REGISTRY)
