"""A bay's life on a cloud, and all that was seen of it, for tests to judge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.drivers.common.outputs import read_workers
from shared.drivers.contract import BayOutputs, NodeInfo
from shared.openstack.stacks import StackChanges
from tests.realheat.bay import BayStack, bay_of
from tests.realheat.cells import Cell
from tests.realheat.ground import Ground


@dataclass
class Life:
    """What was seen, in the order in which it happened. Times are in seconds."""

    bay: BayStack
    outputs: dict[str, object]
    kinds: Counter[str]
    created: BayOutputs
    rehearsed: StackChanges
    """Growing, with the stored files and other authorities for the new node to trust."""
    grown: BayOutputs
    leaves: NodeInfo
    rehearsed_newer: StackChanges
    """One node leaving, with the files of a later release."""
    shrunk: BayOutputs
    later_outputs: dict[str, object]
    later_kinds: Counter[str]
    left_over: list[str]
    seconds: dict[str, float] = field(default_factory=dict)


async def live(ground: Ground, cell: Cell, *, plays_nodes: bool) -> Life:
    """Two nodes, three nodes with other authorities, then one of the first two leaves as the payload has changed; at
    last nothing."""
    clock = _Clock()
    bay = await bay_of(ground, cell, nodes=2, plays_nodes=plays_nodes)
    try:
        await bay.create()
        clock.lap("create")
        outputs, kinds, created = await bay.outputs(), await bay.kinds(), await bay.read()
        bay.rotate()
        rehearsed = await bay.rehearse(2)
        await bay.resize(3)
        clock.lap("grow")
        grown = await bay.read()
        leaves = workers(grown)[0]
        newer = bay.newer_files()
        rehearsed_newer = await bay.rehearse(2, (str(leaves.index),), newer)
        await bay.resize(2, (leaves.server_id,), newer)
        clock.lap("shrink")
        shrunk, later_outputs, later_kinds = await bay.read(), await bay.outputs(), await bay.kinds()
    finally:
        await bay.delete()
        clock.lap("delete")
    left_over = await ground.named(bay.prefix)
    return Life(
        bay=bay,
        outputs=outputs,
        kinds=kinds,
        created=created,
        rehearsed=rehearsed,
        grown=grown,
        leaves=leaves,
        rehearsed_newer=rehearsed_newer,
        shrunk=shrunk,
        later_outputs=later_outputs,
        later_kinds=later_kinds,
        left_over=left_over,
        seconds=clock.laps,
    )


@dataclass(frozen=True)
class ShardedLife:
    """A bay of two stacks, of which the second loses a node; what was seen as in `Life`."""

    outputs: dict[str, object]
    """The second stack's."""
    created: tuple[NodeInfo, ...]
    rehearsed_newer: StackChanges
    leaves: NodeInfo
    shrunk: tuple[NodeInfo, ...]
    first_before: BayOutputs
    first_after: BayOutputs
    left_over: list[str]


async def live_sharded(ground: Ground, cell: Cell, *, plays_nodes: bool) -> ShardedLife:
    """One node in the bay's first stack, two in its second; one of those leaves."""
    first = await bay_of(ground, cell, nodes=1, plays_nodes=plays_nodes)
    try:
        await first.create()
        shard = first.shard(await first.outputs(), 2)
        try:
            await shard.create()
            outputs, first_before = await shard.outputs(), await first.read()
            leaves, newer = read_workers(outputs)[0], shard.newer_files()
            shard.rotate()
            rehearsed = await shard.rehearse(1, (str(leaves.index),), newer)
            await shard.resize(1, (leaves.server_id,), newer)
            shrunk, first_after = read_workers(await shard.outputs()), await first.read()
        finally:
            await shard.delete()
    finally:
        await first.delete()
    left_over = await ground.named(first.prefix)
    return ShardedLife(outputs, read_workers(outputs), rehearsed, leaves, shrunk, first_before, first_after, left_over)


def workers(outputs: BayOutputs) -> list[NodeInfo]:
    """The worker nodes."""
    return [node for node in outputs.nodes if node.role == "worker"]


def masters(outputs: BayOutputs) -> list[NodeInfo]:
    """The master nodes."""
    return [node for node in outputs.nodes if node.role == "master"]


def shape(value: object) -> object:
    """A value without what differs from cloud to cloud: types, keys and numbers of members."""
    if isinstance(value, Mapping):
        return {str(key): shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = round(now - self._last, 1), now
