"""The nodegroup that an operation is about, and the pools that its nodes stand in (shared.domain.shards)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.provisioner.factory import Deps
from shared.db.repositories import pools, stacks
from shared.db.repositories.pools import Pool
from shared.domain.bay import Node
from shared.domain.operation import OperationKind
from shared.domain.queue import DEFAULT_WORKERS, named_of, node_count_of, nodegroup_of
from shared.domain.shards import Place
from shared.worker.outcome import StepContext

HEALED: Final = "healed_count"
"""In the memo of a healing that found other nodes than were recorded: how many the group is to have at its end."""
LOST: Final = "lost_places"
"""In the memo: the stacks (pool and shard) of the group's nodes that were found gone, by their servers."""


@dataclass(frozen=True)
class Group:
    """A group of workers."""

    name: str
    pools: tuple[Pool, ...]
    """But pool 0, the oldest first."""

    @property
    def default(self) -> bool:
        """Whether it is the one whose nodes the bay was made with; only that has to do with the bay's first stack."""
        return self.name == DEFAULT_WORKERS

    @property
    def newest(self) -> int | None:
        """The pool in which it grows; None for a group that is gone."""
        return self.pools[-1].number if self.pools else (0 if self.default else None)

    @property
    def numbers(self) -> frozenset[int]:
        """Of all its pools."""
        return frozenset(one.number for one in self.pools) | ({0} if self.default else set())

    def of(self, nodes: Iterable[Node]) -> list[Node]:
        """Those of the nodes that are workers of this group."""
        return [node for node in nodes if node.role == "worker" and node.pool in self.numbers]


async def group_of(ctx: StepContext[Deps]) -> Group:
    """The group that the operation is about: the default one where its request names none."""
    name = nodegroup_of(ctx.operation.request)
    async with ctx.deps.engine.connect() as conn:
        return Group(name, tuple(await pools.of_bay(conn, ctx.bay.id, name)))


async def wanted_of(ctx: StepContext[Deps]) -> int:
    """How many nodes the group is to have at the operation's end.

    A healing keeps as many as there are: what it was told is of a record that may have been behind the stacks, and
    whole nodes would go for the difference.
    """
    if ctx.operation.kind is not OperationKind.HEAL:
        return node_count_of(ctx.operation.request)
    noted = ctx.operation.memo.get(HEALED)
    if isinstance(noted, int):
        return noted
    group = await group_of(ctx)
    async with ctx.deps.engine.connect() as conn:
        return len(group.of(await stacks.nodes_of(conn, ctx.bay.id)))


def replaces(ctx: StepContext[Deps]) -> bool:
    """Whether nodes that leave or are gone are replaced where they were, and not in the group's newest pool: that may
    be of an upgrade that stopped, and not prove itself."""
    return ctx.operation.kind is OperationKind.HEAL or bool(named_of(ctx.operation.request))


def lost_places(ctx: StepContext[Deps]) -> dict[str, Place]:
    """Where the group's nodes were that this operation found gone, by their servers."""
    noted = ctx.operation.memo.get(LOST)
    if not isinstance(noted, dict):
        return {}
    return {str(server): (int(pool), int(shard)) for server, (pool, shard) in noted.items()}


async def generation_of(ctx: StepContext[Deps], pool: int) -> int:
    """Of the bay, when the pool was made; with it what its stacks are made of is kept.

    Raises:
        ValueError: there is no such pool.
    """
    if not pool:
        return ctx.bay.generation
    async with ctx.deps.engine.connect() as conn:
        for one in await pools.of_bay(conn, ctx.bay.id):
            if one.number == pool:
                return one.generation
    raise ValueError(f"bay {ctx.bay.id} has no pool {pool}")
