"""Members of a stack's group of workers that are no nodes: those that never came to be, and those half removed.

Where a change failed, Heat would count them as members and take whole ones away in their stead, and a rehearsal would
take their servers for nodes. So they are named with those that leave.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.bay import Node
from shared.openstack.stacks import StackResource

NESTED_DEPTH: Final = 3
"""Group, member, and what a member is made of."""

_SERVER: Final = "OS::Nova::Server"


@dataclass(frozen=True)
class Broken:
    """Members of the workers' group that are no nodes, or none any more. Falsy when there are none."""

    indices: tuple[str, ...] = ()
    servers: int = 0
    """How many servers hang on them, so that their end is no loss of nodes."""

    def __bool__(self) -> bool:
        return bool(self.indices)


def broken_members(
    resources: Iterable[StackResource], nodes: Iterable[Node], leaving: Collection[str] = frozenset()
) -> Broken:
    """Workers that Heat did not finish making or removing. A node of ours whose update failed is a node still.

    `leaving` are servers that an earlier resize had named and that the stack's outputs no longer tell of: Heat did not
    come to their removal, because those that were to take their places failed, and the next update ends them, whatever
    it says. A member that nobody named is never taken for one of them, even if an output leaves it out (rule 6).
    """
    listed = list(resources)
    masters = {node.server_id for node in nodes if node.role == "master"}
    workers = {node.server_id for node in nodes if node.role == "worker"}
    held = _servers_by_member(listed)
    ours = {key[0] for key, ids in held.items() if masters & set(ids)}
    groups = {key[0] for key in held} - ours
    found: dict[str, int] = {}
    for one in listed:
        if one.stack_name in groups and one.name.isdigit():
            servers = held.get((one.stack_name, one.name), [])
            lost = one.status.startswith("DELETE") or not workers & set(servers)
            if (_unfinished(one) and lost) or (servers and set(servers) <= set(leaving)):
                found[one.name] = len(servers)
    return Broken(tuple(sorted(found, key=int)), sum(found.values()))


def unfinished_masters(resources: Iterable[StackResource], staying: Collection[str]) -> list[StackResource]:
    """Servers of the masters' group that Heat did not finish making or removing; none of those that stay."""
    listed = list(resources)
    held = _servers_by_member(listed)
    groups = {group for (group, _), ids in held.items() if set(staying) & set(ids)}
    members = {
        (group, index) for group, index in held if group in groups and not set(staying) & set(held[group, index])
    }
    return [
        one
        for one in listed
        if one.type == _SERVER
        and _unfinished(one)
        and any(one.parent == index and one.stack_name.startswith(f"{group}-{index}-") for group, index in members)
    ]


def _unfinished(member: StackResource) -> bool:
    return not member.status.endswith("_COMPLETE") or member.status.startswith("INIT")


def _servers_by_member(resources: Sequence[StackResource]) -> Mapping[tuple[str, str], list[str]]:
    """Ids of servers by (group's stack, index). Heat names a nested stack after its stack and its resource's name."""
    members = [one for one in resources if one.name.isdigit()]
    found: dict[tuple[str, str], list[str]] = {}
    for server in (one for one in resources if one.type == _SERVER):
        for member in members:
            if server.parent == member.name and server.stack_name.startswith(f"{member.stack_name}-{member.name}-"):
                found.setdefault((member.stack_name, member.name), []).append(server.physical_id)
    return found
