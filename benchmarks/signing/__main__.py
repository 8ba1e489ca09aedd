"""`python -m benchmarks.signing`: the phases, and the table."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.signing import raw
from benchmarks.signing.load import Csrs, Result, Target, saturate, steady
from benchmarks.signing.rig import Rig, rig, servers
from benchmarks.signing.usage import Usage

_BUSES: Final = ("rabbitmq", "postgres")
_CLIENTS: Final = 64
_RATE: Final = 100.0
_COLUMNS: Final = ("per s", "p50 ms", "p99 ms", "idle %", "lag ms", "key ms")
_HEAD: Final = "".join(f"{name:>7}" for name in _COLUMNS) + "  CPU ms of each signature, by process"
_MOST: Final = 600  # CSRs a second that may be needed at saturation


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    print(
        f"{cores} cores; load before the start: {load:.1f}. The clients, both servers and what is measured share them."
    )
    if not arguments.no_raw:
        _raw()
    with tempfile.TemporaryDirectory(prefix="jeroboam-signing-") as folder, servers(Path(folder)) as shared:
        for bus in arguments.bus:
            with rig(shared, bus, arguments.profile) as made:
                print(f"\n{bus:<32}{_HEAD}")
                uvloop.run(_paths(made, arguments.seconds))


def _raw() -> None:
    print(f"\n{'one thread':<12}{'openssl/s':>11}{'our key/s':>11}{'ratio':>7}{'goal':>6}{'certificates/s':>16}")
    for one in raw.measure():
        ratio = one.bare / one.openssl
        print(f"{one.key:<12}{one.openssl:>11.0f}{one.bare:>11.0f}{ratio:>7.2f}{'0.5':>6}{one.certificates:>16.0f}")


async def _paths(made: Rig, seconds: float) -> None:
    csrs = Csrs()
    csrs.make(int((_MOST + 2 * _RATE) * seconds))
    await saturate(made.target, csrs, clients=8, seconds=1)
    await _phase("as many as it can (goal 300/s)", made, saturate(made.target, csrs, clients=_CLIENTS, seconds=seconds))
    await _phase("100/s", made, _steady(made.target, csrs, seconds))
    made.take.touch()
    await _phase("100/s, RSA keys taken", made, _steady(made.target, csrs, seconds))


async def _steady(target: Target, csrs: Csrs, seconds: float) -> Result:
    return await steady(target, csrs, rate=_RATE, seconds=seconds)


async def _phase(name: str, made: Rig, work: Coroutine[None, None, Result]) -> None:
    begin, before = time.monotonic(), Usage.now(made.pids)
    result = await work
    after = Usage.now(made.pids)
    await asyncio.sleep(0.2)  # for the loop's last line
    lag, taking = made.lag(begin)
    spent = after.cpu_ms(before, len(result.seconds))
    figures = (
        f"{result.rate:>7.0f}{result.percentile(50):>7.0f}{result.percentile(99):>7.0f}"
        f"{after.idle_percent(before):>7.0f}{lag:>7.1f}{taking:>7.1f}"
    )
    print(f"{name:<32}{figures}  " + " ".join(f"{one} {ms:.2f}" for one, ms in spent.items()), flush=True)
    if result.refused:
        print(f"  {len(result.refused)} were not signed, the first: {result.refused[0]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a signature costs.")
    parser.add_argument("--seconds", type=float, default=7.0, help="length of each phase")
    parser.add_argument("--bus", action="append", choices=_BUSES, help="only that bus")
    parser.add_argument("--no-raw", action="store_true", help="without the comparison to openssl speed")
    parser.add_argument(
        "--profile", type=Path, help="folder for profiles (cProfile, by CPU time); everything is slower then"
    )
    arguments = parser.parse_args()
    arguments.bus = arguments.bus or list(_BUSES)
    return arguments


if __name__ == "__main__":
    main()
