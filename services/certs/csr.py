"""A CSR, read and checked for what is refused under every profile.

Weak or odd keys, weak hashes, a signature of another key, control characters, names that are too long, wildcards, kinds
of names that our software has no use for. What an address must be is checked where the bay is known
(`own_addresses.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import NameOID

from services.certs.refusals import invalid, shown
from shared.domain.own_addresses import Address

MAX_CSR_CHARACTERS: Final = 16 * 1024

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
Pair = tuple[str, str]
"""Type and value of a part of a subject: `CN` and the like, or a dotted number."""

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InternalError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library says of a part of a CSR that is not what it should be."""

_HASHES: Final = (SHA256, SHA384, SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS: Final = (2048, 8192)
_MOST_NAMES: Final = 100
_MOST_PARTS: Final = 20
_LONG_PARTS: Final = (NameOID.LOCALITY_NAME, NameOID.STATE_OR_PROVINCE_NAME, NameOID.STREET_ADDRESS)
_LONG: Final = 128
_EMAIL: Final = 255
_PART: Final = 64
"""Upper bounds of X.520 (RFC 5280, appendix A.1), in characters."""
_HOST: Final = re.compile(r"(?=.{1,253}\.?\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.(?!\Z)|\.?\Z))+")


def load(csr_pem: str) -> x509.CertificateSigningRequest:
    """Read it. Raises Refused."""
    if len(csr_pem) > MAX_CSR_CHARACTERS:
        raise invalid(f"it has {len(csr_pem)} characters, allowed are {MAX_CSR_CHARACTERS}")
    try:
        return x509.load_pem_x509_csr(csr_pem.encode())
    except (*UNREADABLE, x509.InvalidVersion):
        raise invalid("it is not a PEM certificate request") from None


def public_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    """Its key, which is strong enough and did sign it. Raises Refused, and UNREADABLE."""
    key = csr.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        low, high = _RSA_BITS
        if not low <= key.key_size <= high:
            raise invalid(f"its RSA key has {key.key_size} bits, allowed are {low} to {high}")
        if key.public_numbers().e < 65537:
            raise invalid("its RSA key's exponent is below 65537")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise invalid(f"its curve {key.curve.name} is not allowed, use P-256, P-384 or P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise invalid("its key must be RSA, EC or Ed25519")
    if not isinstance(key, ed25519.Ed25519PublicKey) and not isinstance(csr.signature_hash_algorithm, _HASHES):
        raise invalid("it is signed with a weak hash, use SHA-256, SHA-384 or SHA-512")
    if not csr.is_signature_valid:
        raise invalid("its signature does not match its key")
    return key


def subject_pairs(subject: x509.Name) -> list[Pair]:
    """The parts of a subject that can be signed, in their order; those of one RDN one after the other.

    Raises:
        Refused: a part is no text, holds control characters, is empty, too long, or a wildcard; or they are too many.
    """
    attributes = list(subject)
    if len(attributes) > _MOST_PARTS:
        raise invalid(f"its subject has {len(attributes)} parts, allowed are {_MOST_PARTS}")
    return [(one.rfc4514_attribute_name, _part(one)) for one in attributes]


def _part(attribute: x509.NameAttribute[str | bytes]) -> str:
    name, value = attribute.rfc4514_attribute_name, attribute.value
    if not isinstance(value, str):
        raise invalid(f"{name} in its subject is no text")
    if not value.isprintable():
        raise invalid("its subject holds control characters")
    most = _EMAIL if attribute.oid == NameOID.EMAIL_ADDRESS else _LONG if attribute.oid in _LONG_PARTS else _PART
    if not value.strip() or len(value) > most:
        raise invalid(f"{name} in its subject has {len(value)} characters, allowed are 1 to {most}")
    if attribute.oid == NameOID.COMMON_NAME and "*" in value:
        raise invalid(f"the wildcard {shown(value)!r} is not allowed in its subject, name each host")
    return value


def check_names(names: Iterable[x509.GeneralName]) -> None:
    """Let the names of a subjectAltName through: hosts, addresses, e-mail addresses and URIs. Raises Refused."""
    all_names = list(names)
    if not 1 <= len(all_names) <= _MOST_NAMES:
        raise invalid(f"its subjectAltName has {len(all_names)} names, allowed are 1 to {_MOST_NAMES}")
    for name in all_names:
        match name:
            case x509.DNSName(value=str(value)):
                _check_host(value)
            case x509.IPAddress():
                if not isinstance(name.value, IPv4Address | IPv6Address):
                    raise invalid(f"{name.value} in its subjectAltName is a network, not an address")
            case x509.RFC822Name() | x509.UniformResourceIdentifier():
                if not 1 <= len(name.value) <= _EMAIL or not name.value.isprintable() or " " in name.value:
                    raise invalid(f"{shown(name.value)!r} in its subjectAltName is not allowed")
            case _:
                raise invalid(
                    "its subjectAltName holds another kind of name than DNS name, address, e-mail address and URI"
                )


def _check_host(name: str) -> None:
    if "*" in name:
        raise invalid(f"the wildcard {shown(name)!r} is not allowed, name each host")
    if not _HOST.fullmatch(name):
        raise invalid(f"{shown(name)!r} in its subjectAltName is not a host's name")


def addresses(subject: Iterable[Pair], names: Iterable[x509.GeneralName]) -> frozenset[Address]:
    """Every address that a certificate of these would name, also those in the place of a host's name: some software
    compares an address with any name."""
    texts = [value for kind, value in subject if kind == "CN"]
    found: set[Address] = set()
    for name in names:
        if isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Address | IPv6Address):
            found.add(name.value)
        elif isinstance(name, x509.DNSName):
            texts.append(name.value)
    return frozenset(found | {address for text in texts if (address := _as_address(text)) is not None})


def _as_address(text: str) -> Address | None:
    try:
        return ip_address(text.rstrip("."))
    except ValueError:
        return None
