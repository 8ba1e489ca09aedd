"""/v1/certificates (contract §1.14)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from services.api.errors import answer
from services.api.request import Known, query, wire_body
from services.api.routers.dependencies import Ctx, NoQuery
from services.api.routers.shapes import NO_BODY, UUID_EXAMPLE, body, parameters, shown
from services.api.usecases import certificates, rotate
from services.api.usecases.certificates import Certificate
from shared.contracts.http.bays import Accepted
from shared.contracts.http.certificates import CertificateCreate, CertificateOut

router = APIRouter(prefix="/v1/certificates", tags=["certificates"])

Ident = Annotated[str, Path(description="uuid or name of the bay", examples=["k8sbay"])]
Kind = Annotated[dict[str, str], Depends(query("ca_cert_type"))]

_EXAMPLE = {"bay_uuid": "k8sbay", "csr": "-----BEGIN CERTIFICATE REQUEST-----\n…"}
_KIND = {
    "name": "ca_cert_type",
    "in": "query",
    "required": False,
    "description": "which authority; absent: the cluster's own",
    "schema": {"type": "string", "enum": ["kubernetes", "etcd", "front_proxy", "front-proxy"]},
    "example": "etcd",
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


@router.post(
    "",
    status_code=201,
    responses={201: shown(CertificateOut, {**_SHOWN, "csr": _EXAMPLE["csr"]})},
    openapi_extra=body(CertificateCreate, _EXAMPLE),
    dependencies=[NoQuery],
    summary="Have a CSR signed by a bay's authority",
)
async def sign(context: Ctx, facts: Known, request: Request) -> Response:
    """Sign a CSR, within ten seconds; the same CSR again gets the same certificate."""
    signed = await certificates.sign(context, facts, await wire_body(request, CertificateCreate))
    return answer(_shown(signed, facts.base_url), 201)


@router.get(
    "/{bay}",
    responses={200: shown(CertificateOut, _SHOWN)},
    openapi_extra=parameters(_KIND),
    summary="A bay's authority",
)
async def show(context: Ctx, facts: Known, bay: Ident, asked: Kind) -> Response:
    """The certificate of a bay's authority."""
    found = await certificates.authority(context, facts, bay, asked.get("ca_cert_type"))
    return answer(_shown(found, facts.base_url))


@router.patch(
    "/{bay}",
    status_code=202,
    responses={202: shown(Accepted, {"uuid": UUID_EXAMPLE}, "where the driver can")},
    openapi_extra=NO_BODY,
    dependencies=[NoQuery],
    summary="Rotate a bay's authority",
)
async def update(context: Ctx, facts: Known, bay: Ident) -> Response:
    """Give the bay another certificate authority. A body is not looked at."""
    await rotate.authority(context, facts, bay)


def _shown(certificate: Certificate, base_url: str) -> dict[str, object]:
    bay_id = str(certificate.bay_id)
    csr = {} if certificate.csr is None else {"csr": certificate.csr}
    links = [
        {"rel": "self", "href": f"{base_url}/v1/certificates/{bay_id}"},
        {"rel": "bookmark", "href": f"{base_url}/certificates/{bay_id}"},
    ]
    return {"bay_uuid": bay_id, "cluster_uuid": bay_id, "pem": certificate.pem, **csr, "links": links}
