"""Striking nodes off an engine's list whose servers are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_address

from shared.coe.port import Coe, CoeNode, Look
from shared.db.repositories.drained import Left


async def struck_off(coe: Coe, look: Look, gone: Sequence[Left], ours: Collection[str]) -> list[Left]:
    """Have the engine forget these servers; those that it knows no more. `ours` are the ids that it has for the bay's
    nodes, and the look is older than what is recorded of those. Raises what the engine's methods raise."""
    known = {one.server_id: _known(look, one, ours) for one in gone}
    if lost := [node for found in known.values() for node in found if not node.ready]:
        await coe.forget(lost)
    return [one for one in gone if not any(node.ready for node in known[one.server_id])]


def _known(look: Look, left: Left, ours: Collection[str]) -> list[CoeNode]:
    """What the engine still has of a server that is gone: by its name, which Heat gives nobody again.

    Its address may be another's by now, so that counts only where nodes are called by it (Mesos, old Kubernetes), and
    nobody present is ever meant. Nobody asks to strike off a node that still reports: the engine has not noticed yet,
    or it is not the one.
    """
    return [
        node
        for node in look.nodes
        if node.id not in ours
        and (_named(node.name, left.name) or (_is_address(node.name) and left.address == node.name))
    ]


def _named(known: str, name: str) -> bool:
    """Whether the engine means the server of that name: Kubernetes has it in small letters, and where the cloud gives
    servers a domain Docker has that behind it."""
    return known == name or known.lower() == name.lower() or known.lower().startswith(f"{name.lower()}.")


def _is_address(name: str) -> bool:
    """Whether that is no name of ours."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
