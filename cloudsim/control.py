"""The hand behind the simulated cloud: state, clock, faults. No authentication; answers loopback only."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, fields
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cloudsim import fixtures
from cloudsim.auth import world_of
from cloudsim.coe.control import router as coe_router
from cloudsim.errors import ApiFault
from cloudsim.faults import Rule, lose_stack
from cloudsim.http import Body, answer, empty
from cloudsim.store import Record
from cloudsim.world import CloudsimSettings, World

# Not shown in listings: it is big, and secrets are in it. Nova shows it to administrators.
_HIDDEN = frozenset({"user_data"})
_SETTINGS = TypeAdapter(CloudsimSettings)


async def loopback(request: Request) -> None:
    """403 for everybody who does not call from this machine."""
    host = request.client.host if request.client else "127.0.0.1"
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "testclient"
    if not local:
        raise ApiFault(403, "The control endpoint answers loopback only.")


router = APIRouter(prefix="/control", dependencies=[Depends(loopback)])
router.include_router(coe_router, prefix="/coe")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(_Strict):
    """How far to move time."""

    seconds: float = Field(ge=0, allow_inf_nan=False)


class Speed(_Strict):
    """Simulated seconds per real second; 0 is virtual time."""

    speed: float = Field(ge=0, allow_inf_nan=False)


class Newcomer(_Strict):
    """Somebody who is to exist."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")


class Catalog(_Strict):
    """Where the catalog says that the container service is."""

    container: str = Field(pattern=r"^https?://")


class ServerStatus(_Strict):
    """How a server is, in Nova's words."""

    status: Literal["ACTIVE", "ERROR", "SHUTOFF", "PAUSED", "SUSPENDED", "SHELVED_OFFLOADED"]


@router.get("/state")
async def state(request: Request) -> Response:
    """Counts and listing per kind; `?kind=` and `?project=` (id or name) narrow it, `?records=false` counts only."""
    world, params = world_of(request), request.query_params
    project = _project_id(world, params.get("project"))
    wanted = [k for k in (*world.store.kinds(), "trust", "application_credential") if params.get("kind", k) == k]
    listing = {kind: _records(world, kind, project) for kind in wanted}
    body: Body = {"counts": {kind: len(found) for kind, found in listing.items() if found}}
    if params.get("records", "true").lower() != "false":
        body["records"] = {kind: found for kind, found in listing.items() if found}
    body |= {"now": world.clock.now(), "elapsed": world.clock.elapsed(), "speed": world.clock.speed}
    return Response(json.dumps(body, default=str), media_type="application/json")


@router.get("/requests")
async def requests(request: Request) -> Response:
    """How often each call was made since the start or the last DELETE; `?service=`, `?method=`, `?path=` narrow it."""
    rows: list[Body] = [
        {"service": service, "method": method, "path": path, "project": project, "count": count}
        for (service, method, path, project), count in sorted(world_of(request).requests.items())
    ]
    for name in ("service", "method", "path", "project"):
        if (wanted := request.query_params.get(name)) is not None:
            rows = [row for row in rows if row[name] == wanted]
    return answer({"requests": rows, "total": sum(row["count"] for row in rows)})


@router.delete("/requests")
async def forget_requests(request: Request) -> Response:
    """Start counting anew."""
    world_of(request).requests.clear()
    return empty()


@router.post("/clock/advance")
async def advance(request: Request, body: Advance) -> Response:
    """Move time forward; sleepers on the way wake in order."""
    clock = world_of(request).clock
    await clock.advance(body.seconds)
    return answer({"now": clock.now(), "elapsed": clock.elapsed(), "pending": clock.pending})


@router.put("/speed")
async def speed(request: Request, body: Speed) -> Response:
    """Change how fast simulated time passes."""
    world_of(request).clock.set_speed(body.speed)
    return answer({"speed": body.speed})


@router.post("/people")
async def newcomer(request: Request, body: Newcomer) -> Response:
    """A user with a project of the same name, and with that as the password."""
    world = world_of(request)
    if fixtures.user_id(body.name) in world.identity.users:
        raise ApiFault(409, f"There is somebody called {body.name} already.")
    fixtures.newcomer(world, body.name)
    return empty(201)


@router.put("/catalog")
async def catalog(request: Request, body: Catalog) -> Response:
    """Tell the catalog where the container service listens."""
    world_of(request).settings.container_url = body.container.rstrip("/")
    return answer({"container": body.container.rstrip("/")})


@router.get("/settings")
async def settings(request: Request) -> Response:
    """How the cloud behaves."""
    return answer(_settings(world_of(request)))


@router.patch("/settings")
async def change_settings(request: Request) -> Response:
    """Change how the cloud behaves: any of the settings, from the next event on."""
    world, changes = world_of(request), await request.json()
    current = asdict(world.settings)
    unknown = sorted(set(changes) - set(current) | {"speed"} & set(changes))
    if unknown:
        raise ApiFault(400, f"Cannot set {unknown}; settings are {sorted(set(current) - {'speed'})}.")
    try:
        checked = _SETTINGS.validate_python(current | changes)
    except ValidationError as error:
        raise ApiFault(400, str(error)) from error
    for field in fields(checked):
        setattr(world.settings, field.name, getattr(checked, field.name))
    return answer(_settings(world))


@router.get("/faults")
async def faults(request: Request) -> Response:
    """The rules, with how many requests each has seen and struck."""
    return answer({"faults": [planned.shown() for planned in world_of(request).faults.planned]})


@router.post("/faults")
async def add_fault(request: Request, rule: Rule) -> Response:
    """Add a rule; it counts requests from now on."""
    return answer({"fault": world_of(request).faults.add(rule).shown()}, 201)


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Remove all rules."""
    world_of(request).faults.planned.clear()
    return empty()


@router.delete("/faults/{plan_id}")
async def remove_fault(request: Request, plan_id: int) -> Response:
    """Remove one rule."""
    plan = world_of(request).faults
    kept = [planned for planned in plan.planned if planned.id != plan_id]
    if len(kept) == len(plan.planned):
        raise ApiFault(404, f"There is no fault {plan_id}.")
    plan.planned = kept
    return empty()


@router.post("/stacks/{stack}/lose")
async def lose(request: Request, stack: str) -> Response:
    """Make a stack vanish now."""
    if not await lose_stack(world_of(request), stack):
        raise ApiFault(404, f"There is no stack {stack}.")
    return empty()


@router.put("/servers/{server_id}/status")
async def server_status(request: Request, server_id: str, body: ServerStatus) -> Response:
    """Something happened to a server: its host failed, or somebody stopped or started it."""
    store = world_of(request).store
    record = store.get("server", server_id)
    if record is None:
        raise ApiFault(404, f"There is no server {server_id}.")
    store.update(record, status=body.status)
    return empty()


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Back to the fixtures: records, tokens, faults, counters, COE endpoints. Speed and settings stay."""
    world = world_of(request)
    world.reset()
    await world.coe.close()
    return empty()


def _settings(world: World) -> Body:
    shown = asdict(world.settings) | {"speed": world.clock.speed}
    names = ("boot_failures", "without", "stuck_balancers")
    return shown | {name: sorted(shown[name]) for name in names}


def _project_id(world: World, wanted: str | None) -> str | None:
    named = world.identity.project_named(wanted) if wanted else None
    return named.id if named else wanted


def _records(world: World, kind: str, project_id: str | None) -> list[Body]:
    identity = world.identity
    if kind == "trust":
        trusts = [t for t in identity.trusts.values() if project_id in (None, t.project_id)]
        return [asdict(t) for t in trusts]
    if kind == "application_credential":
        credentials = [c for c in identity.app_credentials.values() if project_id in (None, c.project_id)]
        return [{k: v for k, v in asdict(c).items() if k != "secret_hash"} for c in credentials]
    return [_record(r) for r in world.store.list(kind, project_id)]


def _record(record: Record) -> dict[str, Any]:
    attrs = {k: v for k, v in record.attrs.items() if k not in _HIDDEN}
    return {**attrs, "id": record.id, "project_id": record.project_id, "created_at": record.created_at}
