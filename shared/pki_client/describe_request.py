"""What a certificate request asks for: names and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from shared.domain.errors import InvalidInput

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True)
class RequestFacts:
    """DNS names in lower case; addresses as `ipaddress` writes them."""

    dns_names: frozenset[str]
    addresses: frozenset[str]


def describe_request(csr_pem: str) -> RequestFacts:
    """Read the facts of a PEM request.

    Raises:
        InvalidInput: it is not one, or it asks for names that are neither DNS names nor single addresses.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        names = list(_names(request))
    except _UNREADABLE:
        raise InvalidInput("This is not a PEM certificate request that can be read.", field="csr") from None
    dns = [name.value.lower() for name in names if isinstance(name, x509.DNSName)]
    addresses = [str(name.value) for name in names if isinstance(name, x509.IPAddress)]
    if len(dns) + len(addresses) != len(names) or any("/" in one for one in addresses):
        raise InvalidInput("The request asks for names that are neither DNS names nor addresses.", field="csr")
    return RequestFacts(frozenset(dns), frozenset(addresses))


def _names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | tuple[x509.GeneralName, ...]:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
