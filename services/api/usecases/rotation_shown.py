"""How far the rotation of a cluster's authorities is: which nodes have reached its phase, and what keeps the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup, rotate_ca, trust
from shared.contracts.http.rotations import RotatingNode, RotationCounts, RotationOut
from shared.db.repositories import authorities, bays, rotations
from shared.db.repositories.authorities import KINDS, Authority
from shared.db.repositories.rotations import NodeProgress
from shared.domain.errors import NotFound
from shared.domain.rotation import Goal, Rotation

_MASTER: Final = "master"


async def shown(context: Context, facts: Facts, ident: str) -> RotationOut:
    """The rotation that is not over.

    Raises:
        NotFound: there is no such cluster, or it is not being rotated.
        Conflict: several have the name.
        Forbidden: the policy says no; who may see the authority's certificate may see this.
    """
    face = rotate_ca.face_of(facts)
    scope = context.policy.scope(facts.caller, "cluster:get_one_all_projects")
    bay_id = (await lookup.find(context.reader, face, scope, ident)).id
    async with trust.one_view(context) as conn:
        bay = await bays.get(conn, bay_id)
        if bay is None:
            raise face.missing(ident)
        context.policy.enforce(facts.caller, "certificate:get", project_id=bay.project_id, user_id=bay.user_id)
        rotation = await rotations.of(conn, bay_id)
        started = await rotations.started_at(conn, bay_id)
        if rotation is None or started is None:
            raise NotFound(rotate_ca.NOT_BEGUN)
        trusted = await authorities.trusted(conn, bay_id, *KINDS)
        found = await rotations.progress(conn, bay_id)
    nodes = _nodes(rotation, trusted, found)
    return RotationOut(
        bay_uuid=str(bay_id),
        cluster_uuid=str(bay_id),
        phase=rotation.phase.value,
        generation=rotation.generation,
        previous=rotation.previous,
        undone=rotation.undone,
        started_at=started.isoformat(),
        counts=_counts(nodes),
        nodes=nodes,
    )


def _nodes(rotation: Rotation, trusted: Sequence[Authority], found: Sequence[NodeProgress]) -> list[RotatingNode]:
    goal = Goal.of(rotation, ((one.generation, one.certificate) for one in trusted))
    return [
        RotatingNode(
            name=node.name,
            server_id=node.server_id,
            role=node.role,
            reached=goal.arrived(node),
            turn=node.turn is not None and (node.turn.phase, node.turn.target) == (rotation.phase, rotation.target),
            reported_at=None if node.reported_at is None else node.reported_at.isoformat(),
            problem=node.problem,
        )
        for node in found
    ]


def _counts(nodes: Sequence[RotatingNode]) -> RotationCounts:
    masters, workers = ([one for one in nodes if (one.role == _MASTER) is which] for which in (True, False))
    return RotationCounts(
        masters=len(masters),
        masters_reached=sum(one.reached for one in masters),
        workers=len(workers),
        workers_reached=sum(one.reached for one in workers),
    )
