"""A new private key and the certificate signing request that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class KeyKind(StrEnum):
    """Which kind of key to make; the values are those of a driver's `ca_key`."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa2048"


@dataclass(frozen=True)
class KeyAndCsr:
    """A private key (PKCS#8 PEM, not encrypted, kept out of the repr) and its CSR (PEM)."""

    key_pem: str = field(repr=False)
    csr_pem: str


def new_key_and_csr(
    common_name: str,
    organisation: str | None = None,
    kind: KeyKind = KeyKind.EC_P256,
    *,
    addresses: Sequence[str] = (),
) -> KeyAndCsr:
    """Make a key and a CSR: subject CN and O as given, signed with SHA-256; `addresses` are those of a server.

    An RSA key takes about 60 ms of CPU; a caller with an event loop makes it in a thread.

    Raises:
        ValueError: a name is empty or longer than 64 characters (X.520's bound), or an address is none.
    """
    key = new_key(kind)
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation is not None:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if addresses:
        own = x509.SubjectAlternativeName([x509.IPAddress(ip_address(one)) for one in addresses])
        builder = builder.add_extension(own, critical=False)
    csr = builder.sign(key, SHA256())
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return KeyAndCsr(key_pem, csr.public_bytes(Encoding.PEM).decode())


def new_key(kind: KeyKind) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """A new private key of that kind (RSA with exponent 65537)."""
    if kind is KeyKind.RSA_2048:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())
