"""What autoscaling costs one scaler: its share of a core, how late its looks are, and how much memory it takes.

    .venv/bin/python -m benchmarks.autoscale_load [--bays 1000] [--seconds 180] [--every 60] [--nodes 3] [--pods 12]

The scaler's loop runs in a process of its own on the real access code, with the role jb_scaler on a real Postgres.
Each bay is a Kubernetes of the simulated cloud behind TLS, on an address of its own; it is busy and at rest, as most
bays are most of the time. All is on this machine, so that what others do there makes looks later, not dearer. Each
bay's first look, which asks for a certificate, comes before the measured time; its memory counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import uvloop
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from benchmarks.autoscale_made import Town, made, write
from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints
from cloudsim.coe.kubernetes.bay import KubernetesBay
from services.scaler.access import Access
from services.scaler.autoscale import Autoscaler
from services.scaler.factory import Deps
from services.scaler.passes import Passes
from services.scaler.settings import ScalerSettings
from services.scaler.signatures import Signatures
from shared.bus.port import Bus
from shared.coe.connect import Dialer
from shared.db.engine import make_engine
from shared.db.repositories.checks import Check
from shared.db.repositories.scaling import Subject
from shared.runtime.egress import EgressPolicy
from tests.coe.pki import server
from tests.drivers.agent_pki import Authority
from tests.support.database import as_role, migrated_database

_GOALS: Final = {"share of a core": 0.15, "p99 late": 60.0, "growth": 60.0}
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Order:
    """What the scaler's process is told."""

    dsn: str
    every: int
    warm: float
    seconds: float
    authority: str
    key: str


@dataclass(frozen=True)
class Result:
    """What it tells."""

    looks: int
    cpu: float
    seconds: float
    late: Sequence[float]
    before_mib: float
    warm_mib: float
    after_mib: float
    tasks: int


def main() -> None:
    """Print the table; or, with --scaler, be the scaler."""
    arguments = _arguments()
    if arguments.scaler:
        print(json.dumps(asdict(asyncio.run(_scale(Order(**json.load(sys.stdin)))))))
        return
    print(f"{os.cpu_count()} cores; load before the start: {os.getloadavg()[0]:.1f}")
    uvloop.run(_measure(arguments))


async def _measure(arguments: argparse.Namespace) -> None:
    authority, endpoints = Authority(), CoeEndpoints()
    async with migrated_database() as dsn:
        towns = made(arguments.bays, arguments.nodes)
        await write(dsn, towns, authority.pem)
        for town in towns:
            engine = _engine(town, arguments.pods)
            await endpoints.open(town.address, 6443, engine, identity=server(authority, town.address))
        try:
            key = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            order = Order(dsn, arguments.every, arguments.every + 5.0, arguments.seconds, authority.pem, key)
            result = await _in_a_process(order)
        finally:
            await endpoints.close()
        written = await _written(dsn)
    _print(arguments, result, written)


def _engine(town: Town, pods: int) -> KubernetesBay:
    engine = KubernetesBay(Clock(1))
    engine.add_node("master-0", role="master")
    for node in town.nodes:
        engine.add_node(node)
    engine.add_daemonset("flannel", cpu="50m")
    engine.add_deployment("web", pods, cpu=f"{round(1300 * len(town.nodes) / max(1, pods))}m")
    return engine


async def _in_a_process(order: Order) -> Result:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.autoscale_load", "--scaler"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(json.dumps(asdict(order)).encode())
    if process.returncode:
        raise SystemExit("the scaler has failed")
    return Result(**json.loads(told))


async def _scale(order: Order) -> Result:
    """The scaler: warm up, then measure."""
    settings = ScalerSettings(
        database_url=as_role(order.dsn, "jb_scaler"),
        keystone_url="http://127.0.0.1/v3",
        service_password="x",
        autoscale_seconds=order.every,
    )
    engine = make_engine(settings.database_url, pool_size=16)
    passes = Passes(engine, _Signing(engine, order))
    scaler = _Watched(Deps(engine, settings, Access(engine, Dialer(EgressPolicy()), passes, private_too=False)))
    async with engine.connect():
        before = _mib()
    task = asyncio.create_task(scaler.run())
    await asyncio.sleep(order.warm)
    warm, began, cpu = _mib(), time.monotonic(), _cpu()
    scaler.late.clear()
    await asyncio.sleep(order.seconds)
    seconds, used, after, tasks = time.monotonic() - began, _cpu() - cpu, _mib(), len(asyncio.all_tasks())
    late = [*scaler.late]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await engine.dispose()
    return Result(len(late), used, seconds, late, before, warm, after, tasks)


class _Watched(Autoscaler):
    """The loop, which notes how late each look is."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps)
        self.late: list[float] = []

    @override
    def begin(self, check: Check, subject: Subject | None) -> None:
        self.late.append(check.late)
        super().begin(check, subject)


class _Signing(Signatures):
    """The authority, in this process: a bay's certificate is asked for once in an hour."""

    def __init__(self, engine: AsyncEngine, order: Order) -> None:
        super().__init__(engine, _nobody())
        self._authority = Authority()
        key = load_pem_private_key(order.key.encode(), None)
        self._authority.key = key  # type: ignore[assignment] # it was one
        self._authority.pem = order.authority

    @override
    async def sign(self, bay_id: UUID, csr: str) -> str:
        return self._authority.sign(csr)


def _nobody() -> Bus:
    """Nobody is told of anything here."""
    return cast("Bus", None)


async def _written(dsn: str) -> int:
    """Rows that say that something was decided; there should be none."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM scaling_decisions"))
    finally:
        await connection.close()


def _print(arguments: argparse.Namespace, result: Result, written: int) -> None:
    share = result.cpu / result.seconds
    late = statistics.quantiles(result.late, n=100)
    # Where the machine is too busy to answer in time, fewer looks are made than are due.
    full = max(share, result.cpu / max(1, result.looks) * arguments.bays / arguments.every)
    found = {"share of a core": full, "p99 late": late[98], "growth": result.after_mib - result.before_mib}
    print(f"{arguments.bays} bays of {arguments.nodes} nodes and {arguments.pods} pods, each every {arguments.every} s")
    print(f"{result.looks} looks in {result.seconds:.0f} s; decisions written: {written}; tasks: {result.tasks}")
    print(f"cpu of one look, all included      {1000 * result.cpu / max(1, result.looks):8.2f} ms")
    print(f"share of a core                    {100 * share:8.1f} %")
    print(f"share of a core, none of them late {100 * full:8.1f} %   goal {100 * _GOALS['share of a core']:.0f} %")
    print(f"late, median                       {late[49]:8.2f} s")
    print(f"late, 99 of 100                    {late[98]:8.2f} s   goal {_GOALS['p99 late']:.0f} s")
    print(f"memory before                      {result.before_mib:8.1f} MiB")
    print(f"memory after the first looks       {result.warm_mib:8.1f} MiB")
    print(f"memory at the end                  {result.after_mib:8.1f} MiB")
    print(f"growth                             {found['growth']:8.1f} MiB   goal {_GOALS['growth']:.0f} MiB")
    missed = [name for name, goal in _GOALS.items() if found[name] > goal]
    print(f"missed: {', '.join(missed)}" if missed else "all goals reached")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bays", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--pods", type=int, default=12)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--scaler", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
