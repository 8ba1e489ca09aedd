"""What a simulated Heat stack of five nodes costs, from the request to CREATE_COMPLETE: CPU and memory kept.

    .venv/bin/python -m benchmarks.cloudsim_stack [STACKS]

Two stacks are measured: that of the k8s_fedora_atomic driver, made of its templates and of the golden user-data and
parameters in tests/data, and the plainer one of the Heat simulation's tests with 24 KiB of payload a node. User-data
is kept compressed by the simulated Nova; each is shown with and without.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import random
import sys
import time
import tracemalloc
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from cloudsim.heat.engine import Engine, Owner, engine_of
from cloudsim.heat.requests import plan_for_new, stack_name
from cloudsim.world import CloudsimSettings, World

ROOT = Path(__file__).parent.parent
PLAIN = ROOT / "tests/cloudsim/heat/data"
DRIVER_HEAT = ROOT / "shared/drivers/k8s_fedora_atomic/heat"
DRIVER_GOLDEN = ROOT / "tests/data/stacks/k8s_fedora_atomic"
SPEED = 200.0
WARM = 40  # fills the caches, which are bounded and no stack's own
CPU_LIMIT_MS, MEMORY_LIMIT_KB = 15.0, 60.0
CA_BYTES = 420  # of an authority's certificate with an EC P-256 key

Request = Mapping[str, Any]


def driver_stack(number: int) -> Request:
    """One master and four minions of the driver; bay, names and authority differ from stack to stack, as in life."""
    golden = yaml.safe_load((DRIVER_GOLDEN / "default.yaml").read_text())
    templates = {path.name: path.read_text() for path in DRIVER_HEAT.glob("*.yaml")}
    template = templates.pop("bay.yaml")
    chance = random.Random(number)
    bay = str(uuid.UUID(int=chance.getrandbits(128)))
    own = {golden["parameters"]["jeroboam_bay"]: bay, "MIIBexample": _certificate(chance)}
    user_data = {}
    for name in ("master.user-data", "worker.user-data"):
        text = (DRIVER_GOLDEN / f"default.{name}").read_text()
        boundary = text.split('boundary="', 1)[1].split('"', 1)[0]
        for old, new in {**own, boundary: f"==jeroboam-{chance.randbytes(16).hex()}=="}.items():
            text = text.replace(old, new)
        user_data[name] = text
    changed = {
        "jeroboam_operation": str(uuid.UUID(int=chance.getrandbits(128))),
        "jeroboam_bay": bay,
        "node_name_prefix": f"web-{bay[:8]}-1",
        "number_of_minions": "4",
    }
    return {"template": template, "files": templates | user_data, "parameters": golden["parameters"] | changed}


def _certificate(chance: random.Random) -> str:
    """The lines of a PEM text, indented as they stand in the user-data."""
    text = base64.b64encode(chance.randbytes(CA_BYTES)).decode()
    return "\n    ".join(text[start : start + 64] for start in range(0, len(text), 64))


def plain_stack(_number: int) -> Request:
    """One master and four minions of the tests' template."""
    payload = (PLAIN / "configure-node.sh").read_text()
    payload += "# a line of payload of ordinary length, again and again\n" * 430
    files = {
        "kubemaster.yaml": (PLAIN / "kubemaster.yaml").read_text(),
        "kubeminion.yaml": (PLAIN / "kubeminion.yaml").read_text(),
        "fragments/write-heat-params.yaml": (PLAIN / "write-heat-params.yaml").read_text(),
        "fragments/configure-node.sh": payload,
    }
    given = {"ssh_key_name": "testkey", "server_image": "fedora-21-atomic-5", "number_of_minions": 4}
    return {"template": (PLAIN / "kubecluster.yaml").read_text(), "files": files, "parameters": given}


STACKS: dict[str, Callable[[int], Request]] = {"k8s_fedora_atomic": driver_stack, "plain": plain_stack}


def body(make: Callable[[int], Request], number: int) -> bytes:
    """The request, as it comes over the wire: parsing it is part of the cost."""
    return orjson.dumps({"stack_name": f"bay-{number}", **make(number)})


async def create(engine: Engine, owner: Owner, requests: list[bytes]) -> float:
    """Make all stacks at once and wait for them; CPU seconds."""
    start = time.process_time()
    for request in requests:
        parsed = orjson.loads(request)
        engine.create(owner, stack_name(parsed), plan_for_new(engine, parsed))
    while engine.tasks:
        await asyncio.wait(list(engine.tasks.values()))
    return time.process_time() - start


async def measure(
    make: Callable[[int], Request], count: int, *, keep_user_data: bool, trace: bool
) -> tuple[float, float, int]:
    """CPU in ms and memory in KB of one stack, and its resources."""
    world = World(CloudsimSettings(speed=SPEED, keep_user_data=keep_user_data))
    engine = engine_of(world)
    key = world.store.list("keypair")[0]
    owner = Owner("benchmark", key.attrs["user_id"], "demo", "http://127.0.0.1:9999")
    if trace:  # from before the caches fill, so that what they let go of is taken off what they take up
        tracemalloc.start()
    await create(engine, owner, [body(make, number) for number in range(WARM)])
    requests = [body(make, WARM + number) for number in range(count)]
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    cpu = await create(engine, owner, requests)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    roots = [stack for stack in engine.stacks.values() if stack.parent is None]
    if failed := [stack.reason for stack in roots if stack.full_status != "CREATE_COMPLETE"]:
        raise SystemExit(f"a stack failed: {failed[0]}")
    resources = roots[-1].total_resources()
    world.reset()
    return cpu / count * 1000, kept / count / 1000, resources


def main() -> int:
    """Print the table; 1 when a limit is missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{'stack':<18} {'user-data':<10} {'stacks':>6} {'resources':>9} ", end="")
    print(f"{'CPU ms':>7} {'limit':>6} {'kept KB':>8} {'limit':>6}")
    missed = False
    for name, make in STACKS.items():
        for keep in (True, False):
            cpu, _, resources = asyncio.run(measure(make, count, keep_user_data=keep, trace=False))
            _, memory, _ = asyncio.run(measure(make, count, keep_user_data=keep, trace=True))
            missed |= cpu > CPU_LIMIT_MS or memory > MEMORY_LIMIT_KB
            what = "kept" if keep else "dropped"
            figures = f"{cpu:>7.2f} {CPU_LIMIT_MS:>6.0f} {memory:>8.1f} {MEMORY_LIMIT_KB:>6.0f}"
            print(f"{name:<18} {what:<10} {count:>6} {resources:>9} {figures}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
