"""Does this certificate come from that authority, and does it hold now?

The checks are spelled out instead of left to a web-PKI verifier, because a bay's authority is not a web authority:
its leaves need no server name, and clients must be told which of the checks failed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from shared.domain.errors import JeroboamError

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class ChainError(JeroboamError):
    """The chain does not hold; the message says which check failed."""


def verify_chain(cert_pem: str, ca_pem: str, *, now: datetime | None = None) -> None:
    """Check that `cert_pem` was issued by `ca_pem` and that both hold at `now` (default: this instant).

    Checked are: issuer and subject names, the signature, both validities, that the authority is a CA which may sign
    certificates, and that the leaf's authority key identifier, when present, names that authority.

    Raises:
        ChainError: with the first reason found.
    """
    leaf, authority = _load(cert_pem, "certificate"), _load(ca_pem, "authority")
    instant = now or datetime.now(UTC)
    if leaf.issuer != authority.subject:
        raise ChainError(
            f"The certificate was issued by {leaf.issuer.rfc4514_string()!r}, "
            f"the authority is {authority.subject.rfc4514_string()!r}."
        )
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise ChainError("The authority did not sign this certificate.") from None
    for what, certificate in (("certificate", leaf), ("authority", authority)):
        _check_validity(what, certificate, instant)
    _check_may_sign(authority)
    _check_identifiers(leaf, authority)


def _load(pem: str, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ChainError(f"The {what} is not a PEM certificate.") from None


def _check_validity(what: str, certificate: x509.Certificate, instant: datetime) -> None:
    if instant < certificate.not_valid_before_utc:
        raise ChainError(f"The {what} is not valid before {certificate.not_valid_before_utc.isoformat()}.")
    if instant > certificate.not_valid_after_utc:
        raise ChainError(f"The {what} expired at {certificate.not_valid_after_utc.isoformat()}.")


def _check_may_sign(authority: x509.Certificate) -> None:
    constraints = _extension(authority, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ChainError("The authority's basicConstraints do not say CA:true.")
    usage = _extension(authority, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise ChainError("The authority's keyUsage does not allow it to sign certificates.")


def _check_identifiers(leaf: x509.Certificate, authority: x509.Certificate) -> None:
    named, own = _extension(leaf, x509.AuthorityKeyIdentifier), _extension(authority, x509.SubjectKeyIdentifier)
    if named is not None and own is not None and named.key_identifier not in {None, own.digest}:
        raise ChainError("The certificate's authority key identifier names another authority.")


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except ValueError:
        raise ChainError("A certificate of the chain has unreadable or doubled extensions.") from None
