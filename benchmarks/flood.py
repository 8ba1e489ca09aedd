"""What a flood of bad certificate requests does to those who send good ones: one gateway, one authority, one table.

    .venv/bin/python -m benchmarks.flood [--rate 1000] [--seconds 10] [--good 50] [--bus postgres]

Good requests come at a steady rate, first alone, then beside the flood; the ratio of the p99s is the result (goal 2).
The flood is of every kind that issue 6 names, from four tokens at one address, sent by a process of its own. All is on
this machine: gateway, authority, Postgres, broker, the simulated cloud and the clients share its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg  # type: ignore[import-untyped]
import uvloop

from benchmarks.signing.load import Connection, Csrs, Result, Target, steady
from benchmarks.signing.rig import rig, servers
from tests.support.csrs import bad_ones, csr_of

_CALLERS: Final = ("demo", "alt", "admin", "demo")
_CONNECTIONS: Final = 64
_GOAL: Final = 2.0
_REFUSED: Final = "SELECT count(*), coalesce(sum(times), 0) FROM certificate_audit WHERE action = 'csr refused'"


@dataclass(frozen=True)
class Flood:
    """What the sending process is told."""

    port: int
    bay_id: str
    tokens: Sequence[str]
    rate: float
    seconds: float

    def requests(self) -> list[bytes]:
        """Each kind from each caller."""
        return [
            _post(self.port, token, path, {"bay_uuid": self.bay_id, "csr": csr})
            for token in self.tokens
            for path, csr in _kinds()
        ]


def main() -> None:
    """Print the table; or, with --send, be the flood."""
    arguments = _arguments()
    if arguments.send:
        print(json.dumps(uvloop.run(_send(Flood(**json.load(sys.stdin))))))
        return
    print(f"{os.cpu_count()} cores; load before the start: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="jeroboam-flood-") as folder, servers(Path(folder)) as shared:
        with rig(shared, arguments.bus, None) as made:
            tokens = [_login(shared.cloud_url, user) for user in _CALLERS]
            flood = Flood(made.target.port, made.target.bay_id, tokens, arguments.rate, arguments.seconds)
            sent = uvloop.run(_phases(made.target, flood, arguments.good))
        lines, times = asyncio.run(_audited(shared.dsn))  # the gateway has ended: it has written what it counted
    refused = sum(count for status, count in sent.items() if status.startswith("4"))
    print(f"\naudit trail: {lines} lines for {times} refusals (answered so: {refused})")


async def _phases(target: Target, flood: Flood, rate: float) -> Counter[str]:
    csrs = Csrs()
    csrs.make(int(rate * (2 * flood.seconds + 2)) + 1)
    await steady(target, csrs, rate=rate, seconds=2)
    print(f"\n{'':<24}{'good/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'failed':>8}")
    quiet = await steady(target, csrs, rate=rate, seconds=flood.seconds)
    _show("quiet", quiet)
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.flood", "--send"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    flooding = asyncio.create_task(sender.communicate(json.dumps(asdict(flood)).encode()))
    await asyncio.sleep(1)  # until it is there
    flooded = await steady(target, csrs, rate=rate, seconds=flood.seconds)
    _show(f"beside {flood.rate:.0f} bad/s", flooded)
    print(f"ratio of p99: {flooded.percentile(99) / quiet.percentile(99):.2f} (goal at most {_GOAL:g})")
    output, _ = await flooding
    told = json.loads(output)
    answers = Counter(told["answers"])
    print(f"\nbad requests: {answers.total()} in {told['seconds']:.1f} s, answered: {dict(sorted(answers.items()))}")
    return answers


async def _send(flood: Flood) -> dict[str, object]:
    """The flood: so many a second, whatever becomes of the earlier ones."""
    requests, answers = flood.requests(), Counter[str]()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await _connect(flood.port))

    async def one(number: int) -> None:
        connection = await free.get()
        try:
            status, _ = await connection.post(requests[number % len(requests)])
            answers[str(status)] += 1
        except (OSError, EOFError):
            answers["no answer"] += 1
            connection = await _connect(flood.port)
        free.put_nowait(connection)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as asked:
        for number in range(int(flood.rate * flood.seconds)):
            await asyncio.sleep(max(0.0, start + number / flood.rate - time.perf_counter()))
            asked.create_task(one(number))
    return {"answers": answers, "seconds": time.perf_counter() - start}


async def _connect(port: int) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port))


def _kinds() -> list[tuple[str, str]]:
    """Path and CSR of every kind, those too that only the authority knows to be bad, and one that is no body at all."""
    kinds = [("/v1/certificates", csr) for csr in bad_ones().values()]
    return [*kinds, ("/v1/certificates?profile=reader", csr_of()), ("/v1/certificates", "x" * 40_000)]


def _login(cloud_url: str, user: str) -> str:
    """A token of their own project."""
    named = {"name": user, "domain": {"id": "default"}}
    identity = {"methods": ["password"], "password": {"user": {**named, "password": user}}}
    auth = {"auth": {"identity": identity, "scope": {"project": named}}}
    request = urllib.request.Request(f"{cloud_url}/identity/v3/auth/tokens", json.dumps(auth).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers["X-Subject-Token"])


def _post(port: int, token: str, path: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Auth-Token: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _audited(dsn: str) -> tuple[int, int]:
    connection = await asyncpg.connect(dsn)
    try:
        lines, times = await connection.fetchrow(_REFUSED)
        return int(lines), int(times)
    finally:
        await connection.close()


def _show(name: str, result: Result) -> None:
    print(
        f"{name:<24}{result.rate:>8.0f}{result.percentile(50):>8.1f}{result.percentile(99):>8.1f}"
        f"{len(result.refused):>8}",
        flush=True,
    )
    if result.refused:
        print(f"  the first that was not signed: {result.refused[0]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a flood of bad certificate requests does to good ones.")
    parser.add_argument("--rate", type=float, default=1000.0, help="bad requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase")
    parser.add_argument("--good", type=float, default=50.0, help="good requests a second")
    parser.add_argument("--bus", choices=("rabbitmq", "postgres"), default="rabbitmq")
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
