"""What we are, for anybody who asks: `/`, `/v1`, and whether we are well."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from services.api.errors import answer
from services.api.microversion import HIGHEST, LOWEST
from services.api.routers.dependencies import BaseUrl, Ctx, NoQuery
from services.api.routers.shapes import shown
from shared.contracts.http.root import Ready, Root, Version1
from shared.db.health import answers

router = APIRouter(tags=["root"])

_SELF = {"rel": "self", "href": "http://127.0.0.1:9511/v1/"}
_ROOT_EXAMPLE = {
    "name": "OpenStack Magnum API",
    "description": "Magnum is an OpenStack project which aims to provide container cluster management.",
    "versions": [
        {
            "id": "v1",
            "status": "CURRENT",
            "min_version": f"1.{LOWEST}",
            "max_version": f"1.{HIGHEST}",
            "links": [_SELF],
        }
    ],
}
_VERSION_EXAMPLE = {
    "id": "v1",
    "media_types": [{"base": "application/json", "type": "application/vnd.openstack.magnum.v1+json"}],
    "links": [_SELF],
    "bays": [
        {"rel": "self", "href": "http://127.0.0.1:9511/v1/bays/"},
        {"rel": "bookmark", "href": "http://127.0.0.1:9511/bays/"},
    ],
}

_RESOURCES = (
    *("baymodels", "bays", "certificates", "clusters", "clustertemplates", "credentials", "federations", "mservices"),
    *("nodegroups", "quotas", "stats"),
)
_PLACES = {"nodegroups": "clusters/{cluster_id}/nodegroups"}
"""Where a resource is that lies below another; clients fill in the braces."""


@router.get(
    "/",
    dependencies=[NoQuery],
    responses={200: shown(Root, _ROOT_EXAMPLE)},
    summary="The versions of this API",
)
async def versions(base_url: BaseUrl) -> Response:
    """The root document. The name is Magnum's, because clients may look for it."""
    version = {
        "id": "v1",
        "status": "CURRENT",
        "min_version": f"1.{LOWEST}",
        "max_version": f"1.{HIGHEST}",
        "links": [{"rel": "self", "href": f"{base_url}/v1/"}],
    }
    return answer(
        {
            "name": "OpenStack Magnum API",
            "description": "Magnum is an OpenStack project which aims to provide container cluster management.",
            "versions": [version],
        }
    )


@router.get(
    "/v1",
    dependencies=[NoQuery],
    responses={200: shown(Version1, _VERSION_EXAMPLE)},
    summary="The resources of version 1",
)
async def version_1(base_url: BaseUrl) -> Response:
    """The document of version 1."""
    resources = {
        name: [
            {"rel": "self", "href": f"{base_url}/v1/{_PLACES.get(name, f'{name}/')}"},
            {"rel": "bookmark", "href": f"{base_url}/{_PLACES.get(name, f'{name}/')}"},
        ]
        for name in _RESOURCES
    }
    described = "http://docs.openstack.org/developer/magnum/dev/api-spec-v1.html"
    return answer(
        {
            "id": "v1",
            "media_types": [{"base": "application/json", "type": "application/vnd.openstack.magnum.v1+json"}],
            "links": [
                {"rel": "self", "href": f"{base_url}/v1/"},
                {"rel": "describedby", "type": "text/html", "href": described},
            ],
            **resources,
        }
    )


@router.get(
    "/healthcheck",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": "OK"}}}},
    summary="Whether this process runs",
    tags=["health"],
)
async def healthcheck() -> Response:
    """Says OK as long as the process answers at all; what it depends on is /readyz's matter."""
    return PlainTextResponse("OK")


@router.get(
    "/readyz",
    responses={
        200: shown(Ready, {"ready": True, "database": True, "bus": True}),
        503: shown(Ready, {"ready": False, "database": False, "bus": True}, "database or bus is away"),
    },
    summary="Whether this process can do its work",
    tags=["health"],
)
async def readyz(context: Ctx) -> Response:
    """Database and bus, each by name; 503 when either is away."""
    state = {"database": await answers(context.engine), "bus": context.bus.healthy()}
    ready = all(state.values())
    return answer({"ready": ready, **state}, 200 if ready else 503)
