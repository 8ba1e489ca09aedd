"""The hand behind the bays' APIs: open and close them, and change what happens in a bay. Below `/control/coe`."""

from __future__ import annotations

import dataclasses
import inspect
import ipaddress
import ssl
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from cloudsim.auth import world_of
from cloudsim.coe import servers
from cloudsim.coe.bay import Bay
from cloudsim.coe.disks import Disks
from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.docker.classic import ClassicBay
from cloudsim.coe.endpoints import Endpoint
from cloudsim.coe.kubernetes.bay import KubernetesBay
from cloudsim.coe.mesos.bay import MesosBay
from cloudsim.coe.tls import Identity
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, empty
from cloudsim.world import World

router = APIRouter()
_ENGINES: Final[dict[str, type[Bay]]] = {made.ENGINE: made for made in (KubernetesBay, DockerBay, ClassicBay, MesosBay)}


class Node(BaseModel):
    """A machine to begin with, for a bay without a stack."""

    model_config = ConfigDict(extra="forbid")

    name: str
    cpu: float = Field(default=2.0, gt=0)
    memory: int = Field(default=4096, gt=0)
    role: Literal["worker", "master"] = "worker"


class Opening(BaseModel):
    """An endpoint to open. Certificate, key and ca are PEM, all or none of them; `bay` is the id in its servers'
    metadata, `options` are the engine's own (version, start_seconds …). Mesos' master is opened beside Marathon."""

    model_config = ConfigDict(extra="forbid")

    address: str
    port: int = Field(ge=0, le=65535)
    master_port: int = Field(default=5050, ge=0, le=65535)
    engine: str = "kubernetes"
    certificate: str = ""
    key: str = Field(default="", repr=False)
    ca: str = ""
    bay: str | None = None
    nodes: list[Node] = []
    options: dict[str, Any] = {}

    def identity(self) -> Identity | None:
        """For TLS; None: without."""
        given = (self.certificate, self.key, self.ca)
        if any(given) and not all(given):
            raise ApiFault(400, "certificate, key and ca come together.")
        return Identity(*given) if all(given) else None


@router.post("")
async def open_endpoint(request: Request, body: Opening) -> Response:
    """Open a bay's API on its address; at an address that is open it gets the certificate, and the state stays."""
    _check_address(body.address)
    world = world_of(request)
    known = world.coe.get(body.address, body.port)
    identity = body.identity()
    try:
        if known is not None and identity is not None and known.identity is not None:
            known.renew(identity)
            return answer(_shown(known))
        if known is not None:
            raise ApiFault(409, f"Something is open on {body.address}:{body.port} already.")
        return answer(_shown(await _open(world, body, identity)), 201)
    except ssl.SSLError as error:
        raise ApiFault(400, f"The certificate cannot be used: {error.reason or 'it is none'}.") from error
    except OSError as error:
        raise ApiFault(409, f"Cannot listen on {body.address}:{body.port}: {error.strerror}.") from error


async def _open(world: World, body: Opening, identity: Identity | None) -> Endpoint:
    made = _ENGINES.get(body.engine)
    if made is None:
        raise ApiFault(400, f"There is no engine {body.engine}; there are {', '.join(_ENGINES)}.")
    source = servers.source(world, body.bay) if body.bay else None
    try:
        bay = made(world.clock, source, **body.options)
    except (TypeError, ValueError) as error:
        raise ApiFault(400, f"Options: {error}.") from error
    if body.bay:
        bay.give(Disks(world, body.bay), body.bay)
    for node in body.nodes:
        bay.add_node(**node.model_dump())
    opened = []
    for port, handler in zip((body.port, body.master_port), bay.doors().values(), strict=False):
        opened.append(await world.coe.open(body.address, port, bay, identity=identity, handler=handler))
    return opened[0]


def _check_address(address: str) -> None:
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ApiFault(400, f"{address} is not a loopback address.")


@router.get("")
async def endpoints(request: Request) -> Response:
    """What is open."""
    return answer({"endpoints": [_shown(one) for one in world_of(request).coe.all()]})


@router.delete("/{address}/{port}")
async def close_endpoint(request: Request, address: str, port: int) -> Response:
    """Close one."""
    _find(request, address, port)
    await world_of(request).coe.close(address, port)
    return empty()


@router.post("/{address}/{port}/{method}")
async def do(request: Request, address: str, port: int, method: str) -> Response:
    """Call one of the engine's methods with the body's members as arguments; the answer is under `result`."""
    bay = _find(request, address, port).bay
    if method not in bay.DOES:
        raise ApiFault(404, f"There is no {method}; there are {', '.join(sorted(bay.DOES))}.")
    arguments = await request.json() if await request.body() else {}
    found = getattr(bay, method)
    try:
        inspect.signature(found).bind(**arguments)
        result = found(**arguments)
    except (TypeError, ValueError) as error:
        raise ApiFault(400, f"{method}: {error}.") from error
    except KeyError as error:
        raise ApiFault(404, f"{method}: there is no {error}.") from error
    return answer({"result": dataclasses.asdict(result) if dataclasses.is_dataclass(type(result)) else result})


def _find(request: Request, address: str, port: int) -> Endpoint:
    found = world_of(request).coe.get(address, port)
    if found is None:
        raise ApiFault(404, f"Nothing is open on {address}:{port}.")
    return found


def _shown(endpoint: Endpoint) -> Body:
    told: Body = {"address": endpoint.address, "port": endpoint.port, "tls": endpoint.identity is not None}
    return told | {"engine": endpoint.bay.ENGINE, "requests": endpoint.bay.requests[-10:]}
