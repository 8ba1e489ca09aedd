"""The stacks of a bay beside the first (shared.domain.shards), made of what the first, or their pool, was rendered to.

So the bay keeps what it was born with (rule 6). What a shard must know of the first stack (network, security groups,
the masters' addresses) is that stack's output `shard`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from shared.domain.shards import LARGEST, UNLIMITED, spread, stack_name
from shared.drivers.contract import Driver, RenderedStack
from shared.drivers.footprint import Footprint, combined, footprint
from shared.drivers.hot import parse, section

TEMPLATE: Final = "shard.yaml"
SHARED: Final = ("network", "subnet", "security_groups", "master_private_addresses", "api_address")
"""What a shard is told of the first stack."""
_NESTED: Final = ("worker.yaml", "worker.user-data")


def largest(first: RenderedStack) -> int:
    """How many workers the first stack may have."""
    return LARGEST if TEMPLATE in first.files else UNLIMITED


def pool_of(whole: RenderedStack) -> RenderedStack:
    """What a pool keeps of a bay that was rendered for it: the workers' part, from which `shard_stack` makes stacks."""
    files = {name: whole.files[name] for name in (TEMPLATE, *_NESTED)}
    known = section(parse(files[TEMPLATE]), "parameters")
    return RenderedStack(
        template=files[TEMPLATE],
        files=files,
        environment=whole.environment,
        parameters={name: value for name, value in whole.parameters.items() if name in known},
    )


def shard_stack(
    first: RenderedStack, shard: int, count: Mapping[str, str], shared: Mapping[str, object], *, pool: int = 0
) -> RenderedStack:
    """A shard's stack.

    Args:
        first: what the bay's first stack was rendered to; of a further pool, what `pool_of` kept.
        shard: its number, from 1; of a further pool from 0.
        count: the driver's `resize_parameters()` for the number of its workers.
        shared: the first stack's output `shard`.
        pool: the shard's.

    Raises:
        ValueError: the output lacks something.
    """
    missing = [name for name in SHARED if not isinstance(shared.get(name), str)]
    if missing:
        raise ValueError(f"The stack's output shard has no {', '.join(missing)}.")
    template = first.files[TEMPLATE]
    known = section(parse(template), "parameters")
    parameters = {name: value for name, value in first.parameters.items() if name in known}
    parameters |= {name: str(shared[name]) for name in SHARED} | dict(count)
    parameters["node_name_prefix"] = stack_name(parameters["node_name_prefix"], shard, pool)
    return RenderedStack(
        template=template,
        files={name: first.files[name] for name in _NESTED},
        environment=first.environment,
        parameters=parameters,
    )


def whole_footprint(
    driver: Driver,
    first: RenderedStack,
    workers: int,
    judge: Callable[[RenderedStack, Footprint], None] = lambda _stack, _counted: None,
) -> Footprint:
    """What a bay with so many workers takes, all its stacks together; `judge` sees each stack that differs.

    Raises:
        ValueError: see `footprint`.
    """
    counts = [workers] if TEMPLATE not in first.files else spread(workers)
    parts = []
    for number, (count, times) in enumerate([(counts[0], 1), *Counter(counts[1:]).items()]):
        changed = driver.resize_parameters(count, ())
        if number:
            stack = shard_stack(first, number, changed, dict.fromkeys(SHARED, "known-later"))
        else:
            stack = RenderedStack(
                template=first.template,
                files=first.files,
                environment=first.environment,
                parameters=first.parameters | changed,
            )
        counted = footprint(stack)
        judge(stack, counted)
        parts += [counted] * times
    return combined(parts)


def pool_footprint(
    driver: Driver,
    born: RenderedStack,
    workers: int,
    judge: Callable[[RenderedStack, Footprint], None] = lambda _stack, _counted: None,
) -> Footprint:
    """What the stacks of a further pool with so many workers take; `born` and `judge` are as above.

    Raises:
        ValueError: see `footprint`.
    """
    parts = []
    for count, times in Counter(spread(workers)).items():
        stack = shard_stack(born, 0, driver.resize_parameters(count, ()), dict.fromkeys(SHARED, "known-later"), pool=1)
        counted = footprint(stack)
        judge(stack, counted)
        parts += [counted] * times
    return combined(parts)
