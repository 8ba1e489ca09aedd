"""What people read of a rotation: how far it is, who is late and why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Final

from services.certs.rotation.turns import Scene, fresh, well
from shared.db.repositories.rotations import NodeProgress
from shared.domain.rotation import Phase
from shared.worker.outcome import Broke

NO_NODES: Final = (
    "No node of this cluster is recorded, so nobody can be told of new certificate authorities. "
    "Resize the cluster first, so that its nodes are recorded, then rotate again."
)
ENDED: Final = (
    "Certificate authorities of this cluster have ended, so its nodes cannot prove who they are any more, and nobody "
    "can tell them of new ones. Make a new cluster and move to it."
)
STAYS: Final = "The rotation was undone: the previous certificate authorities stay, and no node trusts the others."

_NAMED: Final = 10
_HAS: Final = "it has its turn"


def note(scene: Scene) -> str:
    """How far it is, and whom it waits for."""
    arrived = len(scene.nodes) - len(scene.late())
    told = [f"{arrived} of {len(scene.nodes)} nodes {_what(scene)}"]
    told += [f"{node.name}: {_in_its_turn(node)}" for node in scene.nodes if scene.busy(node)][:_NAMED]
    if (held := _held_up(scene)) is not None:
        told.append(held)
    return "; ".join(told)


def in_vain(scene: Scene) -> Broke:
    """The time is up."""
    late = scene.late()
    reason = (
        f"{len(late)} of {len(scene.nodes)} nodes do not {_what(scene)} yet: "
        f"{_some([f'{node.name} ({_brief(scene, node)})' for node in late])}. {_advice(scene)}"
    )
    return Broke(reason, faults={node.name: _fault(scene, node) for node in late})


def unknown(scene: Scene, strangers: Sequence[str]) -> str:
    """Servers that would be cut off; the wait and the failure say the same."""
    return (
        "A change of this cluster failed and left servers that are not known as nodes of this cluster: "
        f"{_some(strangers)}. "
        "They would not be told which authority stays. Resize the cluster, so that they are recorded or removed. "
        f"{_advice(scene)}"
    )


def _what(scene: Scene) -> str:
    """What the nodes are to do in this phase."""
    whose = "previous" if scene.rotation.undone else "new"
    return {
        Phase.TRUST: "trust the new certificate authorities beside the old ones",
        Phase.REISSUE: f"use certificates of the {whose} authorities",
        Phase.DROP: f"trust only the {whose} certificate authorities",
    }[scene.rotation.phase]


def _in_its_turn(node: NodeProgress) -> str:
    since = _HAS if node.waited is None else f"its turn since {_span(node.waited)}"
    return f"{since}: {node.problem}" if node.problem else since


def _held_up(scene: Scene) -> str | None:
    """Why no master gets a turn although one waits for it, None when that is not so."""
    masters = scene.of_kind(masters=True)
    if all(scene.arrived(node) for node in masters) or any(scene.busy(node) for node in masters):
        return None
    ill = [node for node in masters if not well(node)]
    return f"no master gets its turn until all others are well: {_ills(ill)}" if ill else None


def _brief(scene: Scene, node: NodeProgress) -> str:
    if node.problem:
        return node.problem
    if not fresh(node):
        return _silence(node)
    if not node.healthy:
        return "it is not healthy"
    return _came(node) if scene.busy(node) else "its turn did not come"


def _fault(scene: Scene, node: NodeProgress) -> str:
    """All that is known of why it is late."""
    told = []
    if scene.busy(node):
        told.append(f"{_came(node).capitalize()}.")
    else:
        others = [one for one in scene.of_kind(masters=node.role == "master") if one is not node]
        held = [one.name for one in others if scene.busy(one) or (node.role == "master" and not well(one))]
        told.append(f"Its turn did not come: {_some(held)} went before." if held else "Its turn did not come.")
    if node.problem:
        told.append(f"It says: {node.problem}")
    elif fresh(node) and not node.healthy:
        told.append("It says that it is not healthy.")
    if not fresh(node):
        told.append(f"{_silence(node).capitalize()}.")
    return " ".join(told)


def _silence(node: NodeProgress) -> str:
    if node.reported_at is None:
        return "has never reported"
    return f"has not reported since {node.reported_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _advice(scene: Scene) -> str:
    """How to go on, and how to go back."""
    finish = "When these nodes run and reach the API, or were removed by a resize,"
    if scene.rotation.undone:
        return f"{finish} ask again to undo the rotation (DELETE /v1/certificates/CLUSTER/rotation), which finishes it."
    again = f"{finish} rotate again (PATCH /v1/certificates/CLUSTER), which finishes this rotation"
    if scene.rotation.phase is Phase.DROP:
        return f"{again}; it cannot be undone any more."
    return f"Both authorities stay trusted. {again}; or undo it (DELETE /v1/certificates/CLUSTER/rotation)."


def _ills(nodes: Sequence[NodeProgress]) -> str:
    return _some(
        [f"{node.name} ({node.problem or ('not healthy' if fresh(node) else _silence(node))})" for node in nodes]
    )


def _came(node: NodeProgress) -> str:
    return _HAS if node.waited is None else f"its turn came {_span(node.waited)} ago"


def _span(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(words[:_NAMED])
    return f"{shown} and {len(words) - _NAMED} more" if len(words) > _NAMED else shown
