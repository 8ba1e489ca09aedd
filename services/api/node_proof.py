"""The headers by which a node proves who it is: its certificate, the time, and its key's signature over the request.

    X-Jeroboam-Certificate   base64 of the certificate's PEM
    X-Jeroboam-Time          seconds since 1970
    X-Jeroboam-Signature     base64 of the signature (SHA-256; ECDSA, or RSA with PKCS #1 v1.5) over
                             METHOD "\\n" PATH "\\n" TIME "\\n" SHA256-OF-THE-BODY-IN-HEX "\\n"

Here is decided only whether the signature is by the certificate's key; whose certificate it is, and whether it holds,
is in the database (`usecases/node_calls.py`). Why headers: docs/decisions/0011.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from services.api.errors import NotProven

CERTIFICATE: Final = "X-Jeroboam-Certificate"
TIME: Final = "X-Jeroboam-Time"
SIGNATURE: Final = "X-Jeroboam-Signature"

_LONGEST: Final = 16 * 1024


@dataclass(frozen=True)
class Proof:
    """A certificate whose key signed the request at a time (seconds since 1970)."""

    certificate: x509.Certificate
    time: int

    @property
    def serial(self) -> str:
        """As the table of certificates has it."""
        return f"{self.certificate.serial_number:032x}"

    def is_of(self, pem: str) -> bool:
        """Whether this is that very certificate."""
        other = x509.load_pem_x509_certificate(pem.encode())
        return self.certificate.public_bytes(Encoding.DER) == other.public_bytes(Encoding.DER)


def is_offered(headers: Mapping[str, str]) -> bool:
    """Whether the caller wants to be known by a certificate."""
    return CERTIFICATE in headers or SIGNATURE in headers


def check(headers: Mapping[str, str], method: str, paths: Iterable[str], body: bytes) -> Proof:
    """Check the signature; `paths` are the forms that the path may have had where it was signed.

    Raises:
        NotProven: with the reason.
    """
    certificate, time = _certificate(headers), _time(headers)
    signature = _decoded(headers, SIGNATURE)
    digest = hashlib.sha256(body).hexdigest()
    if not any(_is_signed(certificate, signature, f"{method}\n{path}\n{time}\n{digest}\n".encode()) for path in paths):
        raise NotProven(f"{SIGNATURE} is not of the certificate's key over this request.")
    return Proof(certificate, time)


def _is_signed(certificate: x509.Certificate, signature: bytes, data: bytes) -> bool:
    try:
        match certificate.public_key():
            case ec.EllipticCurvePublicKey() as key:
                key.verify(signature, data, ec.ECDSA(SHA256()))
            case rsa.RSAPublicKey() as key:
                key.verify(signature, data, padding.PKCS1v15(), SHA256())
            case _:
                return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _certificate(headers: Mapping[str, str]) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_decoded(headers, CERTIFICATE))
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise NotProven(f"{CERTIFICATE} is not the base64 of a PEM certificate.") from None


def _time(headers: Mapping[str, str]) -> int:
    text = headers.get(TIME, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise NotProven(f"{TIME} is missing, or not a number of seconds.")
    return int(text)


def _decoded(headers: Mapping[str, str], name: str) -> bytes:
    text = headers.get(name, "")
    if not text:
        raise NotProven(f"{name} is missing.")
    try:
        return base64.b64decode(text[:_LONGEST], validate=True)
    except (binascii.Error, ValueError):
        raise NotProven(f"{name} is not base64.") from None
