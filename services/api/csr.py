"""The gate for CSRs: what cannot be signed is refused before it costs anybody anything.

The rules are in the order of their price: size, form, key, hash, constraints, names, and the signature last. A CSR is
parsed once. The authority checks all of it again and has the last word (`services.certs`); this gate has the rules
that need no authority, and says which part of the CSR is wrong and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import NameOID

from services.api.refusals import Refused
from shared.contracts.http.certificates import CSR_BYTES
from shared.domain.own_addresses import Address, Network, foreign
from shared.pki_client import describe_request

_RSA_BITS: Final = (2048, 8192)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: Final = (SHA256, SHA384, SHA512)
_MOST_NAMES: Final = 100
_MOST_PARTS: Final = 20
"""The authority's own limits; here they also bound what comparing the addresses costs all who are served meanwhile."""
_SHOWN: Final = 80
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InternalError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library says of a part of a CSR that is not what it should be."""


@dataclass(frozen=True)
class Csr:
    """A CSR that passed; `addresses` are what a certificate of it would speak for, as an address or as a name."""

    pem: str
    addresses: frozenset[Address]


def check_node_csr(pem: str) -> None:
    """Let a node's CSR through: its key also signs the node's calls, so it must be RSA or EC.

    Raises:
        Refused: as `check_csr`, or the key is of another kind.
        InvalidInput: a name is neither a DNS name nor an address.
    """
    request = _checked(pem)
    describe_request(pem)
    if isinstance(request.public_key(), ed25519.Ed25519PublicKey):
        raise _invalid("weak key", "a node's key must be RSA or EC")


def check_csr(pem: str) -> Csr:
    """Let a CSR through.

    Raises:
        Refused: it is no CSR, its key or hash is weak, it asks to be an authority or for a wildcard, or its signature
            is not of its key.
    """
    request = _checked(pem)
    return Csr(pem, _addresses(request, _names(request)))


def check_addresses(csr: Csr, own: Iterable[Network]) -> None:
    """Let a CSR through that speaks for addresses in these networks alone.

    Raises:
        Refused: it names an address that is somebody else's.
    """
    stranger = foreign(sorted(csr.addresses, key=str), own)
    if stranger is not None:
        raise _invalid(
            "foreign address",
            f"{stranger} in its subject or subjectAltName is not this bay's; allowed are the addresses of its nodes "
            "and its API, its own networks and loopback",
        )


def _checked(pem: str) -> x509.CertificateSigningRequest:
    if len(pem) > CSR_BYTES:
        raise _invalid("oversized", f"it has {len(pem)} characters, allowed are {CSR_BYTES}")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
    except _UNREADABLE:
        raise _invalid("no CSR", "it is not a PEM certificate request") from None
    _check_key(key)
    try:
        _check_hash(request, key)
        _check_extensions(request)
        genuine = request.is_signature_valid
    except _UNREADABLE:
        raise _invalid("unreadable", "a part of it cannot be read, make it anew") from None
    if not genuine:
        raise _invalid("forged", "its signature does not match its key")
    return request


def _check_key(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        low, high = _RSA_BITS
        if not low <= key.key_size <= high:
            raise _invalid("weak key", f"its RSA key has {key.key_size} bits, allowed are {low} to {high}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise _invalid("weak key", f"its curve {key.curve.name} is not allowed, use P-256, P-384 or P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise _invalid("weak key", "its key must be RSA, EC or Ed25519")


def _check_hash(request: x509.CertificateSigningRequest, key: object) -> None:
    """Ed25519 has a hash of its own."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return
    if not isinstance(request.signature_hash_algorithm, _HASHES):
        raise _invalid("weak hash", "it is signed with a weak hash, use SHA-256, SHA-384 or SHA-512")


def _check_extensions(request: x509.CertificateSigningRequest) -> None:
    """CA:true in Magnum's own words (contract §5.2), many names, and wildcards."""
    for extension in request.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise Refused("CA:true", "Extension 'basicConstraints' not allowed", field="csr")
    names, parts = _names(request), len(list(request.subject))
    if (count := len(list(names))) > _MOST_NAMES:
        raise _invalid("many names", f"its subjectAltName has {count} names, allowed are {_MOST_NAMES}")
    if parts > _MOST_PARTS:
        raise _invalid("many names", f"its subject has {parts} parts, allowed are {_MOST_PARTS}")
    hosts = [*names.get_values_for_type(x509.DNSName), *_common_names(request)]
    wildcard = next((one for one in hosts if "*" in one), None)
    if wildcard is not None:
        raise _invalid("wildcard", f"the wildcard {_shown(wildcard)!r} is not allowed, name each host")


def _names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _addresses(request: x509.CertificateSigningRequest, names: x509.SubjectAlternativeName) -> frozenset[Address]:
    """Those in the subjectAltName, and those in the place of a host's name: some software compares either."""
    found: set[Address] = set()
    for value in names.get_values_for_type(x509.IPAddress):
        if not isinstance(value, IPv4Address | IPv6Address):
            raise _invalid("foreign address", f"{value} in its subjectAltName is a network, name each address")
        found.add(value)
    for text in (*names.get_values_for_type(x509.DNSName), *_common_names(request)):
        try:
            found.add(ip_address(text.rstrip(".")))
        except ValueError:
            continue
    return frozenset(found)


def _common_names(request: x509.CertificateSigningRequest) -> list[str]:
    return [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _shown(text: str) -> str:
    """Short, and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])


def _invalid(kind: str, why: str) -> Refused:
    return Refused(kind, f"Received invalid csr: {why}.", field="csr")
