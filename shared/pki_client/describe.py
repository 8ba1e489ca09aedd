"""A certificate in words: what a person or a metric wants to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from shared.domain.errors import InvalidInput


@dataclass(frozen=True)
class CertificateFacts:
    """Names are RFC 4514 strings, the serial is lower-case hexadecimal, the fingerprint is SHA-256 in hexadecimal."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_authority: bool
    key: str
    """Such as `EC secp256r1` or `RSA 2048`."""
    fingerprint: str


def describe(cert_pem: str) -> CertificateFacts:
    """Read the facts of a PEM certificate.

    Raises:
        InvalidInput: it is not one, or its extensions cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(cert_pem.encode())
        is_authority = _is_authority(certificate)
    except ValueError:
        raise InvalidInput("This is not a PEM certificate that can be read.", field="pem") from None
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_authority=is_authority,
        key=_key(certificate),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey")
