"""What can be done to a server, and the record of it: restarting, hard or soft."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import ProjectCaller, world_of
from cloudsim.compute.microversions import NovaRoute
from cloudsim.compute.servers import visible
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, empty
from cloudsim.store import Record
from cloudsim.world import World

router = APIRouter(route_class=NovaRoute)
_MAY = {
    "HARD": {"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR", "REBOOT", "HARD_REBOOT"},
    "SOFT": {"ACTIVE"},
}
"""Nova's: in which states a server takes which reboot."""
_MEANWHILE = {"HARD": "HARD_REBOOT", "SOFT": "REBOOT"}


@router.post("/servers/{server_id}/action")
async def act(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """Restart a server; 202, and it is ACTIVE again some time later. Other actions are not played."""
    caller.require_write("os_compute_api:servers:reboot")
    world = world_of(request)
    record = visible(world, server_id, caller)
    body: Body = await request.json()
    wanted = body.get("reboot")
    if not isinstance(wanted, dict) or wanted.get("type") not in _MAY:
        raise ApiFault(400, f"There is no such action: {', '.join(body)}")
    kind = str(wanted["type"])
    if record.attrs["status"] not in _MAY[kind]:
        state = str(record.attrs["status"]).lower()
        raise ApiFault(409, f"Cannot 'reboot' instance {server_id} while it is in vm_state {state}")
    reboot(world, record, _MEANWHILE[kind])
    return empty(202)


@router.get("/servers/{server_id}/os-instance-actions")
async def actions(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """What was done to the server: its creation and its reboots, the newest first."""
    world = world_of(request)
    record = visible(world, server_id, caller)
    done = [("reboot", at) for at in reversed(record.get("reboot_times") or [])] + [("create", record.created_at)]
    shown: list[Body] = [
        {
            "action": action,
            "instance_uuid": server_id,
            "request_id": f"req-{server_id}-{number}",
            "user_id": record.get("user_id"),
            "project_id": record.project_id,
            "start_time": world.clock.iso(at).removesuffix("Z") + ".000000",
            "message": None,
        }
        for number, (action, at) in enumerate(done)
    ]
    return answer({"instanceActions": shown})


def reboot(world: World, record: Record, status: str) -> None:
    """Restart it: its engine hears that it booted, and it is ACTIVE after the time that a boot takes."""
    times = [*(record.get("reboot_times") or []), world.store.second()]
    world.store.update(record, status=status, reboot_times=times, reboots=len(times))
    world.clock.call_later(world.settings.boot_seconds, lambda: _booted(world, record.id))


def _booted(world: World, server_id: str) -> None:
    record = world.store.get("server", server_id)
    if record is not None and record.attrs["status"] in _MEANWHILE.values():
        world.store.update(record, status="ACTIVE")
