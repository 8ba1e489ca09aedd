"""What can be done to a server, and the record of it: restarting, hard or soft, and stopping."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid5

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
_VM_STATES = {"SHUTOFF": "stopped"}
_KINDS = ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


@router.post("/servers/{server_id}/action")
async def act(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """Restart a server, 202, and it is ACTIVE again some time later; or stop it. Other actions are not played."""
    name, wanted = _read(await request.body())
    world = world_of(request)
    record = visible(world, server_id, caller)
    caller.require_write(f"os_compute_api:servers:{name.removeprefix('os-')}")
    if name == "os-stop":
        _may(record, "stop", {"ACTIVE", "ERROR"})
        _noted(world, record, "stop", "SHUTOFF")
        return empty(202)
    kind = _kind(wanted)
    _may(record, "reboot", _MAY[kind])
    reboot(world, record, _MEANWHILE[kind])
    return empty(202)


@router.get("/servers/{server_id}/os-instance-actions")
async def actions(request: Request, server_id: str, caller: ProjectCaller) -> Response:
    """What was done to the server: its creation and its reboots, the newest first."""
    world = world_of(request)
    record = visible(world, server_id, caller)
    done = [["create", record.created_at], *(record.get("actions") or [])]
    shown: list[Body] = [
        {
            "action": action,
            "instance_uuid": server_id,
            "request_id": f"req-{uuid5(UUID(server_id), str(number))}",
            "user_id": record.get("user_id"),
            "project_id": record.project_id,
            "start_time": world.clock.iso(at).removesuffix("Z") + ".000000",
            "message": None,
        }
        for number, (action, at) in enumerate(done)
    ]
    return answer({"instanceActions": shown[::-1]})


def reboot(world: World, record: Record, status: str) -> None:
    """Restart it: its engine hears that it booted, and it is ACTIVE after the time that a boot takes."""
    _noted(world, record, "reboot", status, reboots=int(record.get("reboots") or 0) + 1)
    world.clock.call_later(world.settings.boot_seconds, lambda: _booted(world, record.id))


def _noted(world: World, record: Record, action: str, status: str, **more: int) -> None:
    done = [*(record.get("actions") or []), [action, world.store.second()]]
    world.store.update(record, status=status, actions=done, **more)


def _booted(world: World, server_id: str) -> None:
    record = world.store.get("server", server_id)
    if record is not None and record.attrs["status"] in _MEANWHILE.values():
        world.store.update(record, status="ACTIVE")


def _may(record: Record, action: str, states: set[str]) -> None:
    status = str(record.attrs["status"])
    if status not in states:
        state = _VM_STATES.get(status, status.lower())
        raise ApiFault(409, f"Cannot '{action}' instance {record.id} while it is in vm_state {state}")


def _read(raw: bytes) -> tuple[str, Any]:
    """The action that a request names, and what it says of it."""
    body = json.loads(raw)
    if not isinstance(body, dict) or len(body) != 1:
        raise ApiFault(400, "Malformed request body")
    ((name, wanted),) = body.items()
    if name not in {"reboot", "os-stop"}:
        raise ApiFault(400, f"There is no such action: {name}")
    return name, wanted


def _kind(wanted: Any) -> str:
    """Which reboot; Nova's schema is as plain as this."""
    if not isinstance(wanted, dict):
        raise _invalid("reboot", wanted, f"'{wanted}' is not of type 'object'")
    if "type" not in wanted:
        raise _invalid("reboot", wanted, "'type' is a required property")
    if wanted["type"] not in _KINDS:
        raise _invalid("type", wanted["type"], f"'{wanted['type']}' is not one of {_KINDS}")
    return str(wanted["type"]).upper()


def _invalid(name: str, value: Any, why: str) -> ApiFault:
    return ApiFault(400, f"Invalid input for field/attribute {name}. Value: {value}. {why}")
