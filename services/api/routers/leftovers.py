"""What Magnum's API had in 2015 and no longer has (contract §1.20): a refusal that says where it went.

Whatever an old client sends there, it gets 404 with one sentence, which it shows whole: its first full stop is its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from services.api.routers.shapes import NO_BODY
from shared.domain.errors import NotFound

router = APIRouter(tags=["gone"])

_CLIENT: Final = "which `magnum bay-config` or `openstack coe cluster config` sets up"
_KUBECTL: Final = f"use the bay's own Kubernetes client (kubectl get {{}}), {_CLIENT}"

GONE: Final = {
    "pods": "Pods are no longer managed through this API: " + _KUBECTL.format("pods"),
    "services": "Services are no longer managed through this API: " + _KUBECTL.format("services"),
    "rcs": "Replication controllers are no longer managed through this API: " + _KUBECTL.format("rc"),
    "containers": f"Containers are no longer managed through this API: use the bay's own Docker client, {_CLIENT}",
    "nodes": (
        "Nodes are no longer managed through this API: a bay shows the addresses of its nodes, and `openstack server "
        "list` their servers"
    ),
    "x509keypairs": (
        "Key pairs for TLS are no longer kept by this API: make a key yourself and have it signed by `magnum ca-sign` "
        "(POST /v1/certificates)"
    ),
}
"""Resource → its sentence."""

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _refuse(sentence: str) -> Callable[[], Awaitable[Response]]:
    async def gone() -> Response:
        raise NotFound(f"{sentence}.")

    return gone


for _resource, _sentence in GONE.items():
    for _method in _METHODS:
        for _path, _shown in ((f"/v1/{_resource}", True), (f"/v1/{_resource}/{{rest:path}}", False)):
            router.add_api_route(
                _path,
                _refuse(_sentence),
                methods=[_method],
                status_code=404,
                operation_id=f"{_method.lower()}_{_resource}",
                summary="Gone since 2016",
                description=f"{_sentence}. So does every path below.",
                include_in_schema=_shown,
                openapi_extra=None if _method in ("GET", "DELETE") else NO_BODY,
            )
