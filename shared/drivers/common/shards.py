"""Large bays: what does not fit into one Heat stack goes into further ones, of workers only.

Heat limits the resources of a stack and all that is nested in it (1000 as it ships), and a group's cost grows faster
than its members. So the bay's first stack has at most `LARGEST` workers, and each further one, a shard, as many. A
shard is made from what the first stack was rendered to, so the bay keeps what it was born with (rule 6), and from that
stack's output `shard`: network, security groups, the masters' addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.drivers.contract import RenderedStack
from shared.drivers.hot import parse, section

LARGEST: Final = 80
"""Workers in one stack. With every option a worker is nine resources, a bay's rest at most 110."""
TEMPLATE: Final = "shard.yaml"
SHARED: Final = ("network", "subnet", "security_groups", "master_private_addresses", "api_address")
"""What a shard is told of the first stack."""
_NESTED: Final = ("worker.yaml", "worker.user-data")
_STEP: Final = 1_000_000


def spread(count: int) -> list[int]:
    """How many workers each stack of a new bay has, the first stack first."""
    full, rest = divmod(count, LARGEST)
    return [LARGEST] * full + ([rest] if rest or not full else [])


def position(shard: int, index: int) -> int:
    """A worker's place in the whole bay, from its shard (0: the first stack) and its index in that group."""
    return shard * _STEP + index


def place(of: int) -> tuple[int, int]:
    """Shard and index of a worker, from its place in the whole bay."""
    return divmod(of, _STEP)


def stack_name(first: str, shard: int) -> str:
    """The name of a shard's stack."""
    return f"{first}-s{shard}" if shard else first


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
        ValueError: the output lacks something, or the bay was born before there were shards.
    """
    if TEMPLATE not in first.files:
        raise ValueError("This bay was made by a release that put all of a bay's nodes into one stack.")
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


def rehearsed(first: RenderedStack, count: Mapping[str, str]) -> RenderedStack:
    """A shard before anything exists, to count and judge it: what it is told of the first stack has stand-ins."""
    return shard_stack(first, 1, count, dict.fromkeys(SHARED, "known-later"))
