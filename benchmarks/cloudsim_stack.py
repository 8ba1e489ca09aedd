"""What a simulated Heat stack of five nodes costs, from the request to CREATE_COMPLETE:

CPU, memory kept, simulated time.

    .venv/bin/python -m benchmarks.cloudsim_stack [STACKS]

The template is the one of the Heat simulation's tests, with 24 KiB of payload a node. User-data is kept compressed by
the simulated Nova, which is most of a server's memory; it is shown with and without.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import orjson

from cloudsim.heat.engine import Engine, Owner, engine_of
from cloudsim.heat.requests import plan_for_new, stack_name
from cloudsim.world import CloudsimSettings, World

DATA = Path(__file__).parent.parent / "tests/cloudsim/heat/data"
SPEED = 200.0
WARM = 5
CPU_LIMIT_MS, MEMORY_LIMIT_KB = 15.0, 60.0


def body(name: str) -> bytes:
    """The request, as it comes over the wire: parsing it is part of the cost."""
    payload = (
        DATA / "configure-node.sh"
    ).read_text() + "# a line of payload of ordinary length, again and again\n" * 430
    files = {
        "kubemaster.yaml": (DATA / "kubemaster.yaml").read_text(),
        "kubeminion.yaml": (DATA / "kubeminion.yaml").read_text(),
        "fragments/write-heat-params.yaml": (DATA / "write-heat-params.yaml").read_text(),
        "fragments/configure-node.sh": payload,
    }
    given: dict[str, Any] = {"ssh_key_name": "testkey", "server_image": "fedora-21-atomic-5", "number_of_minions": 4}
    template = (DATA / "kubecluster.yaml").read_text()
    return orjson.dumps({"stack_name": name, "template": template, "files": files, "parameters": given})


async def create(world: World, engine: Engine, owner: Owner, requests: list[bytes]) -> float:
    """Make all stacks at once and wait for them; CPU seconds."""
    start = time.process_time()
    for request in requests:
        parsed = orjson.loads(request)
        engine.create(owner, stack_name(parsed), plan_for_new(engine, parsed))
    while engine.tasks:
        await asyncio.wait(list(engine.tasks.values()))
    return time.process_time() - start


async def measure(count: int, *, keep_user_data: bool, trace: bool) -> tuple[float, float, int, int]:
    """CPU in ms, memory in KB and simulated seconds of one stack, and its resources."""
    world = World(CloudsimSettings(speed=SPEED, keep_user_data=keep_user_data))
    engine = engine_of(world)
    user = world.identity.user_named("demo") if hasattr(world.identity, "user_named") else None
    key = world.store.list("keypair")[0]
    owner = Owner("benchmark", user.id if user else key.attrs["user_id"], "demo", "http://127.0.0.1:9999")
    await create(world, engine, owner, [body(f"warm-{number}") for number in range(WARM)])
    requests = [body(f"bay-{number}") for number in range(count)]
    gc.collect()
    if trace:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if trace else 0
    started = world.clock.elapsed()
    cpu = await create(world, engine, owner, requests)
    took = world.clock.elapsed() - started
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before if trace else 0
    tracemalloc.stop()
    roots = [stack for stack in engine.stacks.values() if stack.parent is None]
    if any(stack.full_status != "CREATE_COMPLETE" for stack in roots):
        raise SystemExit(f"a stack failed: {[stack.reason for stack in roots if stack.status == 'FAILED'][:1]}")
    resources = roots[-1].total_resources()
    world.reset()
    return cpu / count * 1000, kept / count / 1000, round(took), resources


def main() -> int:
    """Print the table; 1 when a limit is missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{'user-data':<10} {'stacks':>6} {'resources':>9} {'CPU ms':>7} {'limit':>6} {'kept KB':>8} {'limit':>6}")
    missed = False
    for keep in (False, True):
        cpu, _, _, resources = asyncio.run(measure(count, keep_user_data=keep, trace=False))
        _, memory, _, _ = asyncio.run(measure(count, keep_user_data=keep, trace=True))
        missed |= cpu > CPU_LIMIT_MS or memory > MEMORY_LIMIT_KB
        what = "kept" if keep else "dropped"
        figures = f"{cpu:>7.2f} {CPU_LIMIT_MS:>6.0f} {memory:>8.1f} {MEMORY_LIMIT_KB:>6.0f}"
        print(f"{what:<10} {count:>6} {resources:>9} {figures}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
