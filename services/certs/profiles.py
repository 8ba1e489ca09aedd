"""What may be asked of an authority: a CSR is read, checked and cut down to what will be signed.

The rules of the `owner` profile are Magnum's (contract §5.2): the subject as given; the extensions on the allow-list;
of anything else a critical extension is refused and the others are left out. Beyond Magnum, weak keys and signatures
are refused, and CA:true is refused even when it is not critical. Checking is pure and gives the same plan for the
same CSR, which is what lets an interrupted signature be finished later.

Of a node's CSR only the key and, where the certificate is a server's, the names are taken: subject and usages are
those of its profile (`shared/domain/node_profiles.py`), the node's name is the one that was attested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from shared.db.repositories.sign_requests import OWNER_PROFILE
from shared.domain.errors import InvalidInput
from shared.domain.node_profiles import NodeProfile

MAX_CSR_CHARACTERS: Final = 16 * 1024

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

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
_HASHES: Final = (SHA256, SHA384, SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Refused(InvalidInput):
    """The CSR cannot be signed; the message tells its sender why."""


@dataclass(frozen=True)
class LeafPlan:
    """What of a CSR goes into the certificate. Extensions come with whether they are critical."""

    subject: x509.Name
    public_key: PublicKey
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]

    @property
    def subject_text(self) -> str:
        """The subject as RFC 4514 writes it."""
        return self.subject.rfc4514_string()


def plan_leaf(csr_pem: str, profile: str) -> LeafPlan:
    """Read and check a CSR.

    Raises:
        Refused: with the reason, worded as Magnum words it where Magnum has the rule.
    """
    if profile != OWNER_PROFILE:
        raise Refused(f"The signing profile {profile!r} is not supported.", field="profile")
    csr = _load(csr_pem)
    try:
        return LeafPlan(_subject(csr), _public_key(csr), tuple(_extensions(csr)))
    except _UNREADABLE:
        raise _invalid("a part of it cannot be read") from None


def plan_node(csr_pem: str, profile: NodeProfile, node_name: str) -> LeafPlan:
    """What a node of that name gets under a profile.

    Raises:
        Refused: the CSR cannot be read, or the names do not fit into a certificate.
    """
    csr = _load(csr_pem)
    try:
        key = _public_key(csr)
        return LeafPlan(_node_subject(profile, node_name), key, tuple(_node_extensions(csr, key, profile)))
    except _UNREADABLE:
        raise _invalid("a part of it, or the node's name, does not fit into a certificate") from None


def _node_subject(profile: NodeProfile, node_name: str) -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organization)] if profile.organization else []
    common_name = profile.common_name.format(node=node_name)
    return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _node_extensions(
    csr: x509.CertificateSigningRequest, key: PublicKey, profile: NodeProfile
) -> list[tuple[x509.ExtensionType, bool]]:
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if profile.server else []
    purposes += [ExtendedKeyUsageOID.CLIENT_AUTH] if profile.client else []
    usage = _usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPublicKey))
    extensions: list[tuple[x509.ExtensionType, bool]] = [(usage, True), (x509.ExtendedKeyUsage(purposes), False)]
    names = _host_names(csr) if profile.server else []
    return [*extensions, (x509.SubjectAlternativeName(names), False)] if names else extensions


def _host_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The DNS names and addresses that it asks for, each once: the two forms that were attested."""
    try:
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(dict.fromkeys(name for name in asked if isinstance(name, x509.DNSName | x509.IPAddress)))


def _load(csr_pem: str) -> x509.CertificateSigningRequest:
    if len(csr_pem) > MAX_CSR_CHARACTERS:
        raise _invalid(f"it has {len(csr_pem)} characters, allowed are {MAX_CSR_CHARACTERS}")
    try:
        return x509.load_pem_x509_csr(csr_pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise _invalid("it is not a PEM certificate request") from None


def _subject(csr: x509.CertificateSigningRequest) -> x509.Name:
    if not all(str(attribute.value).isprintable() for attribute in csr.subject):
        raise _invalid("its subject holds control characters")
    return csr.subject


def _public_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    key = csr.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if not 2048 <= key.key_size <= 8192:
            raise _invalid(f"its RSA key has {key.key_size} bits, allowed are 2048 to 8192")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise _invalid(f"its curve {key.curve.name} is not allowed, use P-256, P-384 or P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise _invalid("its key must be RSA, EC or Ed25519")
    if not isinstance(key, ed25519.Ed25519PublicKey) and not isinstance(csr.signature_hash_algorithm, _HASHES):
        raise _invalid("it is signed with a weak hash, use SHA-256, SHA-384 or SHA-512")
    if not csr.is_signature_valid:
        raise _invalid("its signature does not match its key")
    return key


def _extensions(csr: x509.CertificateSigningRequest) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions to copy. Constraints and key identifiers are always the authority's own."""
    kept: list[tuple[x509.ExtensionType, bool]] = []
    for extension in csr.extensions:
        match extension.value:
            case x509.KeyUsage() as usage:
                kept.append((_key_usage(usage, critical=extension.critical), extension.critical))
            case x509.ExtendedKeyUsage() | x509.SubjectAlternativeName() as value:
                kept.append((value, extension.critical))
            case x509.BasicConstraints(ca=True):
                raise _not_allowed(extension.oid)
            case x509.BasicConstraints() | x509.SubjectKeyIdentifier():
                continue
            case _:
                if extension.critical:
                    raise _not_allowed(extension.oid)
    return kept


def _key_usage(asked: x509.KeyUsage, *, critical: bool) -> x509.KeyUsage:
    """Digital signature, key encipherment and non-repudiation; others are refused when critical, else left out."""
    others = (asked.data_encipherment, asked.key_agreement, asked.key_cert_sign, asked.crl_sign)
    allowed = (asked.digital_signature, asked.content_commitment, asked.key_encipherment)
    if (critical and any(others)) or not any(allowed):
        raise _not_allowed(ExtensionOID.KEY_USAGE)
    return _usage(
        digital_signature=asked.digital_signature,
        content_commitment=asked.content_commitment,
        key_encipherment=asked.key_encipherment,
    )


def _usage(*, digital_signature: bool, key_encipherment: bool, content_commitment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _invalid(why: str) -> Refused:
    return Refused(f"Received invalid csr: {why}.", field="csr")


def _not_allowed(oid: x509.ObjectIdentifier) -> Refused:
    return Refused(f"Extension '{_NAMES.get(oid, oid.dotted_string)}' not allowed", field="csr")
