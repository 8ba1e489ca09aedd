"""The quota calls of Nova, Cinder and Neutron: projects read their own, administrators read and set any."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.compute.microversions import NovaRoute
from cloudsim.errors import ApiFault
from cloudsim.http import Body, announcing, answer, empty, read
from cloudsim.quota import UNLIMITED

router = APIRouter()
_nova, _cinder = APIRouter(route_class=NovaRoute), APIRouter(route_class=announcing("volume 3.0"))
_NOVA = "/compute/v2.1/os-quota-sets/{target}"
_CINDER = "/volume/v3/{project_id}/os-quota-sets/{target}"
_NEUTRON = "/network/v2.0/quotas/{target}"
# What Nova and Cinder take in the body beside limits.
_ASIDE = frozenset({"force", "tenant_id", "id", "skip_validation"})


async def reader(request: Request, target: str, caller: ProjectCaller) -> Caller:
    """The caller, who may read the target's quotas."""
    if target != caller.project_id and not caller.is_admin:
        raise _refused(request, "show")
    return caller


async def administrator(request: Request, caller: ProjectCaller) -> Caller:
    """The caller, who may set quotas."""
    if not caller.is_admin:
        raise _refused(request, "update")
    return caller


def _refused(request: Request, action: str) -> ApiFault:
    """403 in the words of the service that was asked."""
    path = request.url.path
    if path.startswith("/network/") and path.endswith(("/details", "/details.json")):
        message = "User does not have admin privileges: Only admin is authorized to access quotas for another project."
        return ApiFault(403, message, kind="AdminRequired")
    if path.startswith("/network/"):
        rule = "get_quota" if action == "show" else "update_quota"
        return ApiFault(403, f"rule:{rule} is disallowed by policy", kind="PolicyNotAuthorized")
    rule = (
        f"volume_extension:quotas:{action}" if path.startswith("/volume/") else f"os_compute_api:os-quota-sets:{action}"
    )
    return ApiFault(403, f"Policy doesn't allow {rule} to be performed.")


Reader = Annotated[Caller, Depends(reader)]
Administrator = Annotated[Caller, Depends(administrator)]


@_nova.get(_NOVA)
async def nova_show(request: Request, target: str, caller: Reader) -> Response:
    """Nova's limits of a project."""
    return answer({"quota_set": {"id": target, **world_of(request).quotas.limits("compute", target)}})


@_nova.get(f"{_NOVA}/defaults")
async def nova_defaults(request: Request, target: str, caller: Reader) -> Response:
    """Nova's limits of a project for which nobody set any."""
    names = world_of(request).quotas.names("compute")
    return answer({"quota_set": {"id": target, **dict.fromkeys(names, UNLIMITED)}})


@_nova.get(f"{_NOVA}/detail")
async def nova_detail(request: Request, target: str, caller: Reader) -> Response:
    """Nova's limits of a project and what is used of them."""
    return answer({"quota_set": {"id": target, **_detail(request, "compute", target, "in_use")}})


@_nova.put(_NOVA)
async def nova_set(request: Request, target: str, caller: Administrator) -> Response:
    """Set Nova's limits."""
    return answer({"quota_set": await _set(request, "compute", target, "quota_set")})


@_nova.delete(_NOVA)
async def nova_forget(request: Request, target: str, caller: Administrator) -> Response:
    """Back to no limits."""
    world_of(request).quotas.forget("compute", target)
    return empty(202)


@_cinder.get(_CINDER)
async def cinder_show(request: Request, target: str, caller: Reader) -> Response:
    """Cinder's limits of a project; with `usage=true` also what is used of them."""
    if request.query_params.get("usage", "false").lower() == "true":
        return answer({"quota_set": {"id": target, **_detail(request, "volume", target, "in_use")}})
    return answer({"quota_set": {"id": target, **world_of(request).quotas.limits("volume", target)}})


@_cinder.put(_CINDER)
async def cinder_set(request: Request, target: str, caller: Administrator) -> Response:
    """Set Cinder's limits."""
    return answer({"quota_set": await _set(request, "volume", target, "quota_set")})


@_cinder.delete(_CINDER)
async def cinder_forget(request: Request, target: str, caller: Administrator) -> Response:
    """Back to no limits."""
    world_of(request).quotas.forget("volume", target)
    return empty(200)


@router.get(_NEUTRON)
async def neutron_show(request: Request, target: str, caller: Reader) -> Response:
    """Neutron's limits of a project."""
    return answer({"quota": world_of(request).quotas.limits("network", target)})


@router.get(f"{_NEUTRON}/details")
@router.get(f"{_NEUTRON}/details.json")
async def neutron_detail(request: Request, target: str, caller: Reader) -> Response:
    """Neutron's limits of a project and what is used of them."""
    return answer({"quota": _detail(request, "network", target, "used")})


@router.put(_NEUTRON)
async def neutron_set(request: Request, target: str, caller: Administrator) -> Response:
    """Set Neutron's limits."""
    return answer({"quota": await _set(request, "network", target, "quota")})


@router.delete(_NEUTRON)
async def neutron_forget(request: Request, target: str, caller: Administrator) -> Response:
    """Back to no limits."""
    world_of(request).quotas.forget("network", target)
    return empty()


def _detail(request: Request, service: str, project_id: str, use: str) -> Body:
    quotas = world_of(request).quotas
    used = quotas.used(service, project_id)
    limits = quotas.limits(service, project_id)
    return {name: {"limit": most, use: used[name], "reserved": 0} for name, most in limits.items()}


async def _set(request: Request, service: str, project_id: str, key: str) -> Body:
    wanted = {name: value for name, value in (await read(request, key)).items() if name not in _ASIDE}
    return dict(world_of(request).quotas.set(service, project_id, wanted))


router.include_router(_nova)
router.include_router(_cinder)
