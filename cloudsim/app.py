"""The simulated cloud as one web application: each service under its own path, faults around them, control beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cloudsim import balancing, control, image, network, quota_routes, secrets_store, volume
from cloudsim.compute.router import router as compute_router
from cloudsim.errors import ApiFault, render, shape
from cloudsim.faults import FaultMiddleware
from cloudsim.heat.behaviour import control_router as heat_control
from cloudsim.heat.router import door as heat_door
from cloudsim.heat.router import router as heat_router
from cloudsim.identity.router import router as identity_router
from cloudsim.world import World


def create_app(world: World) -> FastAPI:
    """The application that simulates `world`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await world.coe.close()

    app = FastAPI(title="cloudsim", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.state.world = world
    services = (identity_router, compute_router, network.router, image.router, volume.router, balancing.router)
    # Neutron's generic routes would take its quotas, so these come first.
    for router in (quota_routes.router, *services, secrets_store.router, control.router):
        app.include_router(router)
    app.include_router(heat_door)
    app.include_router(heat_router, prefix="/orchestration/v1")
    app.include_router(heat_control, prefix="/control/heat", dependencies=[Depends(control.loopback)])
    app.add_exception_handler(ApiFault, render)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(FaultMiddleware, world=world)
    return app


async def _no_route(request: Request, error: Exception) -> Response:
    """No such path or method, in the words of the service that was asked."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404 and request.url.path.startswith(("/compute/", "/volume/", "/orchestration/")):
        body = {"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found"}
        return JSONResponse(body | {"title": "Not Found"}, status)
    return JSONResponse(shape(request.url.path, status, "The resource could not be found."), status)


async def _invalid(request: Request, error: Exception) -> Response:
    """A body that the control endpoint does not understand."""
    details = error.errors() if isinstance(error, RequestValidationError) else []
    message = "; ".join(f"{'.'.join(str(part) for part in d['loc'])}: {d['msg']}" for d in details)
    return JSONResponse(shape(request.url.path, 400, message), 400)
