"""/v1/mservices (contract §1.16): which workers live, by their heartbeats."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import shown
from services.api.usecases import mservices
from shared.contracts.http.mservices import MserviceList
from shared.db.repositories import services
from shared.db.repositories.services import DOWN_AFTER

router = APIRouter(prefix="/v1/mservices", tags=["mservices"])

_SHOWN: Final = {
    "id": 1,
    "host": "node-1",
    "binary": "magnum-conductor",
    "state": "up",
    "disabled": False,
    "disabled_reason": "",
    "created_at": "2026-11-22T14:09:36.884964+00:00",
    "updated_at": "2026-11-22T15:10:36.901234+00:00",
    "report_count": 62,
    "last_seen_up": "2026-11-22T15:10:36.901234+00:00",
    "forced_down": False,
    "workers": [
        {
            "binary": "jeroboam-provisioner",
            "state": "up",
            "report_count": 62,
            "last_seen_up": "2026-11-22T15:10:36.901234+00:00",
        },
        {
            "binary": "jeroboam-certs",
            "state": "up",
            "report_count": 62,
            "last_seen_up": "2026-11-22T15:10:41.128305+00:00",
        },
        {
            "binary": "jeroboam-scaler",
            "state": "up",
            "report_count": 62,
            "last_seen_up": "2026-11-22T15:10:39.550217+00:00",
        },
    ],
}


@router.get(
    "",
    responses={200: shown(MserviceList, {"mservices": [_SHOWN]})},
    dependencies=[NoQuery],
    summary="List the hosts of workers",
)
async def list_services(context: Ctx, facts: Known) -> Response:
    """The workers behind this API and whether they live, an entry a host, for administrators."""
    context.policy.enforce(facts.caller, "magnum-service:get_all")
    async with context.engine.connect() as conn:
        found = await services.states(conn, down_after=DOWN_AFTER * context.settings.time_scale)
    return answer({"mservices": mservices.by_host(found)})
