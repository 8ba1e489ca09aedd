"""Why a CSR is not signed, in words for its sender; Magnum's words where Magnum has the rule (contract §5.2)."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from shared.domain.errors import InvalidInput

_SHOWN: Final = 80
_NAMES: Final = {
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.EXTENDED_KEY_USAGE: "extendedKeyUsage",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    ExtensionOID.NAME_CONSTRAINTS: "nameConstraints",
    ExtensionOID.CERTIFICATE_POLICIES: "certificatePolicies",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
}


class Refused(InvalidInput):
    """The CSR cannot be signed; the message tells its sender why."""


def invalid(why: str) -> Refused:
    """The CSR itself is at fault."""
    return Refused(f"Received invalid csr: {why}.", field="csr")


def not_allowed(oid: x509.ObjectIdentifier) -> Refused:
    """An extension is at fault."""
    return Refused(f"Extension '{_NAMES.get(oid, oid.dotted_string)}' not allowed", field="csr")


def shown(value: object) -> str:
    """A piece of a CSR as it can be shown: short, and without control characters."""
    text = str(value)
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(letter if letter.isprintable() else "?" for letter in cut)
