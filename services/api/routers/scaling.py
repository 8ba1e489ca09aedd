"""How a bay is scaled by itself: scaling_policy and scaling_decisions under both of its names. Not in Magnum."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.faces import BAY, CLUSTER, Face
from services.api.request import Known, wire_body
from services.api.routers.bays import Ident
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import UUID_EXAMPLE, body, shown
from services.api.usecases import scaling
from shared.contracts.http.scaling import ScalingDecisionList, ScalingPolicy, ScalingPolicyOut

_POLICY: Final[dict[str, Any]] = {"enabled": True, "max_node_count": 20, "target_utilisation": 80}
_SOURCES: Final = (
    *(("enabled", True, "policy"), ("min_node_count", 1, "label"), ("max_node_count", 20, "policy")),
    *(("target_utilisation", 80, "policy"), ("scale_in_utilisation", 65, "default"), ("quiet_seconds", 600, "default")),
    *(("scale_out_cooldown_seconds", 60, "default"), ("scale_in_cooldown_seconds", 300, "default")),
    *(("scale_out_step", 30, "default"), ("scale_in_step", 10, "default")),
)
_SHOWN: Final = {
    "uuid": UUID_EXAMPLE,
    "nodegroup": "default-worker",
    "policy": _POLICY,
    "effective": {name: {"value": value, "source": source} for name, value, source in _SOURCES},
}
_DECISION: Final = {
    "id": 71,
    "nodegroup": "default-worker",
    "node_count": 3,
    "desired": 5,
    "reason": "3 pods wait (shop/web-1: 500m cpu; shop/web-2: 500m cpu; shop/web-3: 500m cpu) for room; "
    "2 more nodes fit them.",
    "seen": {"ready": 3, "idle": 0, "spare": 0, "more": 2, "cpu": 0.92, "memory": 0.4},
    "operation_id": "8a1e4f7c-1d7e-4f0e-9f2a-6b1f0c9f8e21",
    "at": "2026-11-22T14:21:07.104412+00:00",
}


def add_scaling(router: APIRouter, face: Face) -> None:
    """The routes under one of a bay's names."""
    path = f"/v1/{face.path}/{{ident}}"

    @router.get(
        f"{path}/scaling_policy",
        responses={200: shown(ScalingPolicyOut, _SHOWN)},
        dependencies=[NoQuery],
        summary=f"How a {face.one} is scaled by itself",
        name=f"{face.one}_scaling_policy",
        tags=[face.path],
    )
    async def show(context: Ctx, facts: Known, ident: Ident) -> Response:
        """What was put, and every value that holds with its source: default, label, policy or nodegroup."""
        return answer(await scaling.show(context, facts, face, ident))

    @router.put(
        f"{path}/scaling_policy",
        responses={200: shown(ScalingPolicyOut, _SHOWN)},
        openapi_extra=body(ScalingPolicy, _POLICY),
        dependencies=[NoQuery],
        summary=f"Say how a {face.one} is to be scaled by itself",
        name=f"put_{face.one}_scaling_policy",
        tags=[face.path],
    )
    async def put(context: Ctx, facts: Known, request: Request, ident: Ident) -> Response:
        """Put a policy in the place of the one before; what is left out is as the labels say, else as by default."""
        return answer(await scaling.put(context, facts, face, ident, await wire_body(request, ScalingPolicy)))

    @router.delete(
        f"{path}/scaling_policy",
        status_code=204,
        dependencies=[NoQuery],
        summary=f"Let a {face.one}'s labels alone say how it is scaled",
        name=f"delete_{face.one}_scaling_policy",
        tags=[face.path],
    )
    async def drop(context: Ctx, facts: Known, ident: Ident) -> Response:
        """Take the policy away; 204 where there is none, too."""
        await scaling.drop(context, facts, face, ident)
        return Response(status_code=204)

    @router.get(
        f"{path}/scaling_decisions",
        responses={200: shown(ScalingDecisionList, {"scaling_decisions": [_DECISION]})},
        dependencies=[NoQuery],
        summary=f"Why a {face.one} has the size that it has",
        name=f"{face.one}_scaling_decisions",
        tags=[face.path],
    )
    async def decided(context: Ctx, facts: Known, ident: Ident) -> Response:
        """What autoscaling decided and why: the last hundred times that it acted or had another reason not to."""
        return answer({"scaling_decisions": await scaling.decisions(context, facts, face, ident)})


router = APIRouter()
add_scaling(router, BAY)
add_scaling(router, CLUSTER)
