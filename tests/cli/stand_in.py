"""An API that says what it is told to, for what the real one does only between two moments."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, Self

from typing_extensions import override

BAY: Final = "11111111-2222-4333-8444-555555555555"
"""The uuid of its bay, whose name is b."""


@dataclass(frozen=True)
class Answer:
    """What a request gets. `events` make it a stream, which waits `after` seconds, tells them, and ends."""

    status: int = 200
    body: object = None
    events: tuple[Mapping[str, object], ...] = ()
    after: float = 0.0


class StandIn:
    """A context manager; `answers` are those to each method and path, one after another, of which the last one stays.

    What has none is refused with 403.
    """

    def __init__(self, answers: Mapping[str, list[Answer]]) -> None:
        self._answers = answers
        self._given: defaultdict[str, int] = defaultdict(int)
        self._lock = Lock()
        self._over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self, asked: str) -> Answer:
        """The answer to "METHOD /path"."""
        with self._lock:
            answers = self._answers.get(asked, [Answer(403, refusal(403))])
            found = answers[min(self._given[asked], len(answers) - 1)]
            self._given[asked] += 1
        self._over.wait(found.after)
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer_to = self.next

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = answer_to(f"{self.command} {self.path}")
                told = [f"event: operation\ndata: {json.dumps(one)}\n\n" for one in answer.events]
                body = "".join(told) if told else json.dumps(answer.body)
                self.send_response(answer.status)
                self.send_header("Content-Type", "text/event-stream" if told else "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names of http.server

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler


def refusal(status: int) -> dict[str, object]:
    """The body of an error, as the API words it."""
    return {"errors": [{"status": status, "title": "No.", "detail": f"No: {status}."}]}


def operation(
    seq: int, state: str, kind: str = "resize", *, by: str = "somebody", error: str | None = None
) -> dict[str, object]:
    """The body of an operation without steps."""
    return {
        "id": f"o-{seq}", "seq": seq, "kind": kind, "state": state, "error": error, "requested_by": by,
        "created_at": "2026-01-01T00:00:00+00:00", "finished_at": None, "steps": [],
    }  # fmt: skip


def operations(*newest_first: dict[str, object], after: float = 0.0) -> Answer:
    """A bay's list of them."""
    return Answer(body={"operations": list(newest_first)}, after=after)


def bay() -> Answer:
    """The bay b, which is well."""
    nothing = dict.fromkeys(
        ("docker_volume_size", "master_flavor_id", "flavor_id", "stack_id", "floating_ip_enabled", "status_reason",
         "discovery_url", "api_address", "coe_version", "container_version", "fixed_network", "fixed_subnet",
         "master_lb_enabled", "updated_at")
    )  # fmt: skip
    some = {"uuid": BAY, "name": "b", "baymodel_id": BAY, "status": "UPDATE_COMPLETE", "created_at": "2026-01-01"}
    counts = {"node_count": 1, "master_count": 1, "bay_create_timeout": 60}
    lists: dict[str, object] = {"labels": {}, "links": [], "node_addresses": [], "master_addresses": []}
    return Answer(body={**nothing, **some, **counts, **lists})
