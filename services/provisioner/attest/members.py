"""Where in a bay's stacks a server stands: the member stack that it lies in, and by whose template that was made.

A member of a group is a nested stack of its own (rule 8 of docs/driver-contract.md); a master's is made from
`master.yaml`. Where a server stands never changes, so it is remembered; a listing of a stack is long, and the nodes of
a bay ask all at once, so one listing serves all who came before it began.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from shared.drivers.contract import Role
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackResource

NESTED_DEPTH: Final = 2
"""Group, member, and what a member is made of."""

_KEPT: Final = 10_000
_SERVER: Final = "OS::Nova::Server"
_MASTER: Final = "master.yaml"


@dataclass(frozen=True)
class Member:
    """The nested stack in which a server lies, and the role that its template gives it."""

    stack_name: str
    stack_id: str
    role: Role


class Members:
    """What was found, by server. One event loop only."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], Member] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._began: dict[str, int] = {}

    async def find(self, heat: HeatClient, stack_ids: Sequence[str], server_id: str) -> Member | None:
        """The member of one of these stacks that has the server; None: none has.

        Raises:
            CloudError: Heat does not answer.
        """
        for stack_id in stack_ids:
            if (known := self._found.get((stack_id, server_id))) is not None:
                return known
            await self._list(heat, stack_id)
            if (known := self._found.get((stack_id, server_id))) is not None:
                return known
        return None

    async def _list(self, heat: HeatClient, stack_id: str) -> None:
        """List the stack, unless a listing that began after we came is there when our turn comes."""
        arrived = self._began.get(stack_id, 0)
        lock = self._locks.setdefault(stack_id, asyncio.Lock())
        async with lock:
            if self._began.get(stack_id, 0) > arrived:
                return
            self._began[stack_id] = arrived + 1
            for server_id, member in members_in(await heat.resources(stack_id, NESTED_DEPTH)):
                self._found[stack_id, server_id] = member
        while len(self._found) > _KEPT:
            self._found.popitem(last=False)


def members_in(resources: Iterable[StackResource]) -> list[tuple[str, Member]]:
    """Every server of a listing, by its Nova id, with its member."""
    listed = list(resources)
    templates = {one.physical_id: PurePosixPath(one.type).name for one in listed if one.type.endswith(".yaml")}
    return [
        (one.physical_id, Member(one.stack_name, one.stack_id, "master" if made_from == _MASTER else "worker"))
        for one in listed
        if one.type == _SERVER and one.physical_id and (made_from := templates.get(one.stack_id)) is not None
    ]
