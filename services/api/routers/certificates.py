"""/v1/certificates (contract §1.14)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import NO_BODY, UUID_EXAMPLE, body, parameters, shown
from services.api.usecases import certificates, rotate_ca, rotation_shown, sign
from services.api.usecases.certificates import Certificate
from shared.contracts.http.bays import Accepted
from shared.contracts.http.certificates import (
    BODY_BYTES,
    MOST_HOURS,
    CertificateCreate,
    CertificateOut,
    CertificateWish,
)
from shared.contracts.http.rotations import RotationOut
from shared.domain.client_profiles import PUBLIC

router = APIRouter(prefix="/v1/certificates", tags=["certificates"])

Ident = Annotated[str, Path(description="uuid or name of the bay", examples=["k8sbay"])]
Kind = Annotated[dict[str, str], Depends(query("ca_cert_type"))]
Wished = Annotated[dict[str, str], Depends(query("profile", "hours"))]

_EXAMPLE = {"bay_uuid": "k8sbay", "csr": "-----BEGIN CERTIFICATE REQUEST-----\n…"}
_KIND = {
    "name": "ca_cert_type",
    "in": "query",
    "required": False,
    "description": "which authority; absent: the cluster's own",
    "schema": {"type": "string", "enum": ["kubernetes", "etcd", "front_proxy", "front-proxy"]},
    "example": "etcd",
}
_PROFILE = {
    "name": "profile",
    "in": "query",
    "required": False,
    "description": "what its holder may do in the bay: owner (or absent) is as the CSR says, others are fixed",
    "schema": {"type": "string", "enum": list(PUBLIC), "default": PUBLIC[0]},
    "example": "reader",
}
_HOURS = {
    "name": "hours",
    "in": "query",
    "required": False,
    "description": "how long it is valid; absent: as long as the operator's settings say",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_HOURS},
    "example": 8,
}
_SHOWN = {
    "bay_uuid": UUID_EXAMPLE,
    "cluster_uuid": UUID_EXAMPLE,
    "pem": "-----BEGIN CERTIFICATE-----\n…",
    "links": [
        {"rel": "self", "href": f"http://127.0.0.1:9511/v1/certificates/{UUID_EXAMPLE}"},
        {"rel": "bookmark", "href": f"http://127.0.0.1:9511/certificates/{UUID_EXAMPLE}"},
    ],
}
_ROTATION = {
    "bay_uuid": UUID_EXAMPLE,
    "cluster_uuid": UUID_EXAMPLE,
    "phase": "reissue",
    "generation": 2,
    "previous": 1,
    "undone": False,
    "started_at": "2015-11-24T10:00:00.000000+00:00",
    "counts": {"masters": 1, "masters_reached": 0, "workers": 0, "workers_reached": 0},
    "nodes": [
        {
            "name": "k8sbay-master-0",
            "server_id": "6d3ab6c6-3c3c-4d5b-8f0e-0c1e8f7f6f5a",
            "role": "master",
            "reached": False,
            "turn": True,
            "reported_at": "2015-11-24T10:06:12.000000+00:00",
            "problem": "kube-apiserver did not come back; the old files are in place again",
        }
    ],
}


@router.post(
    "",
    status_code=201,
    responses={201: shown(CertificateOut, {**_SHOWN, "csr": _EXAMPLE["csr"]})},
    openapi_extra={**body(CertificateCreate, _EXAMPLE), **parameters(_PROFILE, _HOURS)},
    summary="Have a CSR signed by a bay's authority",
)
async def create(context: Ctx, facts: Known, request: Request, asked: Wished) -> Response:
    """Sign a CSR, within ten seconds; the same CSR again gets the same certificate."""
    with context.refusals.watching(facts.caller) as watched:
        wish = CertificateWish.read(asked)
        signed = await sign.sign(context, facts, await wire_body(request, CertificateCreate, BODY_BYTES), wish, watched)
    return answer(_shown(signed, facts.base_url), 201)


@router.get(
    "/{bay}",
    responses={200: shown(CertificateOut, _SHOWN)},
    openapi_extra=parameters(_KIND),
    summary="A bay's authority",
)
async def show(context: Ctx, facts: Known, bay: Ident, asked: Kind) -> Response:
    """The certificate of a bay's authority; while it is rotated the old one and the new one, one after the other."""
    found = await certificates.authority(context, facts, bay, asked.get("ca_cert_type"))
    return answer(_shown(found, facts.base_url))


@router.patch(
    "/{bay}",
    status_code=202,
    responses={202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "the nodes will change over")},
    openapi_extra=NO_BODY,
    dependencies=[NoQuery],
    summary="Rotate a bay's authority",
)
async def update(context: Ctx, facts: Known, bay: Ident) -> Response:
    """Give the bay other certificate authorities, or finish a rotation that failed. A body is not looked at."""
    return answer({"uuid": str(await rotate_ca.ask(context, facts, bay))}, 202)


@router.get(
    "/{bay}/rotation",
    responses={200: shown(RotationOut, _ROTATION)},
    dependencies=[NoQuery],
    summary="How far the rotation of a bay's authority is",
)
async def rotation(context: Ctx, facts: Known, bay: Ident) -> Response:
    """Its phase, and which nodes have reached it; 404 if none is under way."""
    return answer((await rotation_shown.shown(context, facts, bay)).model_dump())


@router.delete(
    "/{bay}/rotation",
    status_code=202,
    responses={202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "the nodes will go back to what they had")},
    dependencies=[NoQuery],
    summary="Undo the rotation of a bay's authority",
)
async def undo(context: Ctx, facts: Known, bay: Ident) -> Response:
    """Keep the authorities that the bay had before. Refused once the nodes are told to drop them."""
    return answer({"uuid": str(await rotate_ca.undo(context, facts, bay))}, 202)


def _shown(certificate: Certificate, base_url: str) -> dict[str, object]:
    bay_id = str(certificate.bay_id)
    csr = {} if certificate.csr is None else {"csr": certificate.csr}
    links = [
        {"rel": "self", "href": f"{base_url}/v1/certificates/{bay_id}"},
        {"rel": "bookmark", "href": f"{base_url}/certificates/{bay_id}"},
    ]
    return {"bay_uuid": bay_id, "cluster_uuid": bay_id, "pem": certificate.pem, **csr, "links": links}
