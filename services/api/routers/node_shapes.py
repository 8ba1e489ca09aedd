"""What the OpenAPI document says of the nodes' calls."""

from __future__ import annotations

from typing import Any, Final

from services.api import node_proof
from services.api.openapi_parts import RETRY_AFTER, refused
from services.api.routers.shapes import shown
from shared.contracts.http.nodes import NodeCertificateOut, NodeCredentialOut, NodeSelfOut

_PEM: Final = "-----BEGIN CERTIFICATE-----\n…"
_ETAG: Final = {
    "ETag": {"description": "of these wishes", "schema": {"type": "string"}, "example": '"5f0c2a9be1d04c37-active"'}
}
_STRANGER: Final = refused(
    "401",
    "The certificate is no node's, or time or signature do not hold; the detail says which.",
    "X-Jeroboam-Signature is not of the certificate's key over this request.",
)
_SHOWN: Final = {
    "pem": _PEM,
    "certificates": {"node": _PEM, "etcd": _PEM},
    "authorities": {"kubernetes": _PEM, "etcd": _PEM, "front_proxy": _PEM},
    "shared": "-----BEGIN PKCS7-----\n…",
}
_WISHES: Final = {
    "revision": "5f0c2a9be1d04c37",
    "ca_pem": _PEM,
    "authorities": {"kubernetes": _PEM, "etcd": _PEM, "front_proxy": _PEM},
    "renew": False,
    "operation_active": True,
    "credential_generation": 2,
    "masters": ["10.0.0.5"],
    "leaving": None,
}
_LETTER: Final = {"generation": 2, "sealed": "-----BEGIN PKCS7-----\n…"}

CERTIFICATES: Final[dict[int | str, dict[str, Any]]] = {
    201: shown(NodeCertificateOut, _SHOWN, "the certificates, all for the key of the CSR"),
    401: _STRANGER,
    403: refused(
        "403",
        "No node of that bay, or it may not have what it asks for; strangers are not told which.",
        "No certificate: bay, server, role, secret and names do not belong together.",
    ),
    429: refused(
        "429",
        "Too many ask for this bay now.",
        "Too many nodes of this bay wait for an answer. Ask again.",
        headers=RETRY_AFTER,
    ),
}
SELF: Final[dict[int | str, dict[str, Any]]] = {
    200: shown(NodeSelfOut, _WISHES, "what is wanted") | {"headers": _ETAG},
    304: {"description": "the node knows it already", "headers": _ETAG},
    401: _STRANGER,
}
CREDENTIAL: Final[dict[int | str, dict[str, Any]]] = {
    200: shown(NodeCredentialOut, _LETTER, "the credential, for this node's key alone"),
    401: _STRANGER,
    404: refused("404", "None waits for this node.", "No cloud credential waits for this node and its certificate."),
}
REPORT: Final[dict[int | str, dict[str, Any]]] = {204: {"description": "kept"}, 401: _STRANGER}


def proof(*, required: bool) -> list[dict[str, Any]]:
    """The headers of a node's proof."""
    said = {
        node_proof.CERTIFICATE: (
            "base64 of the PEM of the node's certificate",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURQ==",
        ),
        node_proof.TIME: ("seconds since 1970", "1450000000"),
        node_proof.SIGNATURE: ("base64 of the key's signature over method, path, time and body", "MEUCIQDxAAA="),
    }
    return [
        {
            "name": name,
            "in": "header",
            "required": required,
            "description": words,
            "schema": {"type": "string"},
            "example": example,
        }
        for name, (words, example) in said.items()
    ]


IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of the wishes that the node has",
    "schema": {"type": "string"},
    "example": '"5f0c2a9be1d04c37"',
}
