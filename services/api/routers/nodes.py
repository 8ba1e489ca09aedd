"""What the nodes of bays call: their certificates, and themselves (docs/driver-contract.md). No token of Keystone."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from services.api import node_proof
from services.api.errors import answer
from services.api.request import json_of, read_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.node_shapes import CERTIFICATES, CREDENTIAL, IF_NONE_MATCH, REPORT, SELF, proof
from services.api.routers.shapes import UUID_EXAMPLE, body, parameters
from services.api.usecases import node_calls, node_certificates
from shared.contracts.http.nodes import NodeCertificateCreate, NodeReport
from shared.db.repositories.attestations import requester_of

router = APIRouter(prefix="/v1", tags=["nodes"])

LARGEST_BODY: Final = 64 * 1024

Bay = Annotated[str, Path(description="uuid of the bay", examples=[UUID_EXAMPLE])]

_ASKED: Final[dict[str, Any]] = {
    "server_id": UUID_EXAMPLE,
    "secret": "Xf3kW9bT0qLr7ZsE2mUy",
    "role": "worker",
    "csr": "-----BEGIN CERTIFICATE REQUEST-----\n…",
}
_SAID: Final[dict[str, Any]] = {
    "healthy": True,
    "revision": "5f0c2a9be1d04c37",
    "units": {"kubelet": "active"},
    "credential_generation": 2,
}


@router.post(
    "/bays/{bay}/node-certificates",
    status_code=201,
    responses=CERTIFICATES,
    openapi_extra=body(NodeCertificateCreate, _ASKED) | parameters(*proof(required=False)),
    dependencies=[NoQuery],
    summary="Certificates of a bay's node",
)
async def certificates(context: Ctx, request: Request, bay: Bay) -> Response:
    """Attest a server and sign its node's certificates.

    The first time the node shows the secret of its own user-data, later a signature by its present certificate.
    """
    asked = await _request(request)
    wanted = NodeCertificateCreate.read(json_of(asked.body, NodeCertificateCreate.argument))
    known = None
    if wanted.secret is None or node_proof.is_offered(asked.headers):
        known = await node_calls.known_node(context, asked)
    who = ("", "") if known is None else (str(known.bay_id), requester_of(known.server_id))
    with context.refusals.watching_node(*who):
        issued = await node_certificates.issue(context, bay, wanted, known)
    return answer(issued.model_dump(exclude_none=True), 201)


@router.get(
    "/nodes/self",
    responses=SELF,
    openapi_extra=parameters(*proof(required=True), IF_NONE_MATCH),
    dependencies=[NoQuery],
    summary="What is wanted of the node that asks",
)
async def show(context: Ctx, request: Request) -> Response:
    """The authorities to trust, whether to renew, and whether an operation runs; 304 if the node knows it already."""
    node = await node_calls.known_node(context, await _request(request))
    wanted, tag = await node_calls.wishes(context, node)
    if request.headers.get("If-None-Match", "").strip() == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return answer(wanted.model_dump(), 200, {"ETag": tag})


@router.get(
    "/nodes/self/credential",
    responses=CREDENTIAL,
    openapi_extra=parameters(*proof(required=True)),
    dependencies=[NoQuery],
    summary="The cloud credential that waits for the node that asks",
)
async def credential(context: Ctx, request: Request) -> Response:
    """The bay's new cloud credential, encrypted to the certificate that the node shows."""
    node = await node_calls.known_node(context, await _request(request))
    return answer((await node_calls.credential(context, node)).model_dump(), 200)


@router.put(
    "/nodes/self",
    status_code=204,
    responses=REPORT,
    openapi_extra=body(NodeReport, _SAID) | parameters(*proof(required=True)),
    dependencies=[NoQuery],
    summary="What the node says of itself",
)
async def report(context: Ctx, request: Request) -> Response:
    """Keep a node's report: whether it is well, which units run, and which wishes it has met."""
    asked = await _request(request)
    node = await node_calls.known_node(context, asked)
    await node_calls.report(context, node, NodeReport.read(json_of(asked.body, NodeReport.argument)))
    return Response(status_code=204)


async def _request(request: Request) -> node_calls.Request:
    """The request as it was signed: path and body byte by byte."""
    content = bytes(await read_body(request, LARGEST_BODY))
    path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or request.url.path
    return node_calls.Request(request.headers, request.method, path, content)
