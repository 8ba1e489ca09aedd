"""A client of a real etcd behind TLS that writes one numbered key after the other without a pause and never twice the
same, and at the end reads all that were acknowledged: a program of its own that runs in a lab's namespace, with nothing
but Python's standard library.

    etcd_writer.py FOLDER

FOLDER/endpoints has the members, a line each, and may be replaced at any time; FOLDER/identity and FOLDER/stop are as
in etcd_client.py. A write that no member acknowledges within 5 s has failed, and so has a read between two writes that
no member answers. What it counted is in FOLDER/counted.json then.
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
_PREFIX = "/jeroboam/written/"


@dataclass
class Counted:
    """What happened."""

    acknowledged: int = 0
    failed_writes: list[str] = field(default_factory=list)
    reads: int = 0
    failed_reads: list[str] = field(default_factory=list)
    longest_write: float = 0.0
    """Seconds until one was acknowledged, its tries at other members included."""
    lost: list[str] = field(default_factory=list)
    """Acknowledged, and not there at the end."""


def main(folder: Path) -> None:
    """Write and read until told to stop, then look for all of it."""
    counted, written, number = Counted(), list[str](), 0
    while not (folder / "stop").exists():
        number += 1
        key, began = f"{_PREFIX}{number:08}", time.monotonic()
        if (failed := _insist(folder, "put", {"key": _text(key), "value": _text(str(number))})[1]) is not None:
            counted.failed_writes.append(f"{key}: {failed}")
            continue
        written.append(key)
        counted.longest_write = max(counted.longest_write, time.monotonic() - began)
        found, failed = _insist(folder, "range", {"key": _text(key)})
        counted.reads += 1
        if failed is not None or not found.get("kvs"):
            counted.failed_reads.append(f"{key}: {failed or 'not there'}")
        time.sleep(0.02)
    counted.acknowledged = len(written)
    # All keys below the prefix: the range ends before the byte after "/".
    found, failed = _insist(folder, "range", {"key": _text(_PREFIX), "range_end": _text(_PREFIX[:-1] + "0")})
    there = {base64.b64decode(one["key"]).decode() for one in found.get("kvs", [])}
    counted.lost = [key for key in written if key not in there] if failed is None else [failed]
    (folder / "counted.json").write_text(json.dumps(asdict(counted)))


def _insist(folder: Path, verb: str, body: dict[str, str]) -> tuple[dict[str, list[dict[str, str]]], str | None]:
    """The answer of the first member that gives one, else why the last did not."""
    began, tries, said = time.monotonic(), 0, "no member is known"
    while time.monotonic() - began < _PATIENCE:
        endpoints = (folder / "endpoints").read_text().split()
        endpoint = endpoints[tries % len(endpoints)]
        tries += 1
        try:
            return _ask(folder, endpoint, verb, body), None
        except (OSError, ValueError) as error:
            said = f"{endpoint}: {error}"
            time.sleep(0.05)
    return {}, said


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _ask(folder: Path, endpoint: str, verb: str, body: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    identity = (folder / "identity").resolve()
    context = ssl.create_default_context(cafile=str(identity / "ca.pem"))
    context.load_cert_chain(identity / "cert.pem", identity / "key.pem")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(f"{endpoint}/v3/kv/{verb}", json.dumps(body).encode())
    with opener.open(request, timeout=_ONE_TRY) as reply:
        answer: dict[str, list[dict[str, str]]] = json.loads(reply.read())
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
