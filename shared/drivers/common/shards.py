"""The stacks of a large bay beside the first (shared.domain.shards), made of what the first was rendered to.

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


def shard_stack(
    first: RenderedStack, shard: int, count: Mapping[str, str], shared: Mapping[str, object]
) -> RenderedStack:
    """A shard's stack.

    Args:
        first: what the bay's first stack was rendered to.
        shard: its number, from 1.
        count: the driver's `resize_parameters()` for the number of its workers.
        shared: the first stack's output `shard`.

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
    parameters["node_name_prefix"] = stack_name(parameters["node_name_prefix"], shard)
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
