"""A client that reads and writes one key of a real etcd behind TLS without a pause, as a program of its own: it runs in
a lab's namespace, with nothing but Python's standard library.

    etcd_client.py FOLDER ENDPOINT...

FOLDER/identity is a folder with ca.pem, cert.pem and key.pem, and may be replaced at any time; FOLDER/stop ends it;
what it counted is in FOLDER/counted.json then. As etcd's own clients do, a read that one member does not answer is
asked of the next; it has failed when no member answers it within 5 s. A read is asked of the majority (linearizable),
so it must show at least the last write that was acknowledged.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path

_PATIENCE = 5.0
_ONE_TRY = 1.5
_KEY = base64.b64encode(b"/jeroboam/rotation").decode()


@dataclass
class Counted:
    """What happened."""

    reads: int = 0
    failed_reads: list[str] = field(default_factory=list)
    """What was said of each."""
    second_tries: int = 0
    """Reads that one member did not answer, and another did."""
    longest_read: float = 0.0
    """Seconds."""
    writes: int = 0
    failed_writes: int = 0
    """Not acknowledged; the next one is tried."""
    served: dict[str, int] = field(default_factory=dict)
    """Reads by member."""


def main(folder: Path, endpoints: list[str]) -> None:
    """Read and write until told to stop."""
    counted, acknowledged, turn = Counted(served=dict.fromkeys(endpoints, 0)), 0, 0
    value = 0
    while not (folder / "stop").exists():
        turn += 1
        order = [*endpoints[turn % len(endpoints) :], *endpoints[: turn % len(endpoints)]]
        if turn % 3 == 1:
            value += 1
            if _write(folder, order[0], value):
                counted.writes, acknowledged = counted.writes + 1, value
            else:
                counted.failed_writes += 1
        if acknowledged:
            _read(folder, order, acknowledged, counted)
        time.sleep(0.02)
    (folder / "counted.json").write_text(json.dumps(asdict(counted)))


def _read(folder: Path, order: list[str], at_least: int, counted: Counted) -> None:
    begun, said, tries = time.monotonic(), "", 0
    counted.reads += 1
    while time.monotonic() - begun < _PATIENCE:
        endpoint = order[tries % len(order)]
        tries += 1
        try:
            found = _ask(folder, endpoint, "range", {"key": _KEY})
            value = int(base64.b64decode(found["kvs"][0]["value"]))
        except (OSError, ValueError, KeyError) as error:
            said = f"{endpoint}: {error}"
            time.sleep(0.02)
            continue
        counted.longest_read = max(counted.longest_read, time.monotonic() - begun)
        counted.second_tries += tries > 1
        counted.served[endpoint] += 1
        if value < at_least:
            counted.failed_reads.append(f"{endpoint} shows {value} after {at_least}")
        return
    counted.failed_reads.append(said)


def _write(folder: Path, endpoint: str, value: int) -> bool:
    try:
        _ask(folder, endpoint, "put", {"key": _KEY, "value": base64.b64encode(str(value).encode()).decode()})
    except (OSError, ValueError):
        return False
    return True


def _ask(folder: Path, endpoint: str, verb: str, body: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Over a connection of its own, with the identity of this moment. Raises OSError and ValueError."""
    identity = (folder / "identity").resolve()
    context = ssl.create_default_context(cafile=str(identity / "ca.pem"))
    context.load_cert_chain(identity / "cert.pem", identity / "key.pem")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(f"{endpoint}/v3/kv/{verb}", json.dumps(body).encode())
    with opener.open(request, timeout=_ONE_TRY) as reply:
        answer: dict[str, list[dict[str, str]]] = json.loads(reply.read())
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
