"""What may be asked of an authority: a CSR is read, checked and cut down to what will be signed.

What `csr.py` refuses is refused under every profile, and so is CA:true. Then it depends on the profile:

owner           Magnum's rules (contract §5.2): the subject as given; the extensions on the allow-list; of anything
                else a critical extension is refused and the others are left out. Beyond Magnum, addresses must be the
                bay's own, and the operator may restrict subjects (`client_policy.py`).
admin, reader,  Subject and usages are the profile's (`shared/domain/client_profiles.py`). A CSR may say the same or
scaler          nothing; what contradicts them is refused, since who asks for something else should know that they do
                not get it.
a node's        Of its CSR only the key and, where the certificate is a server's, the names are taken: subject and
                usages are those of `shared/domain/node_profiles.py`, the node's name is the one that was attested.

Checking is pure and gives the same plan for the same CSR, so that an interrupted signature can be finished later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from services.certs import csr as requests
from services.certs.client_policy import CLUSTER, ClientPolicy
from services.certs.csr import UNREADABLE, PublicKey
from services.certs.refusals import Refused, invalid, not_allowed, shown
from shared.domain import client_profiles
from shared.domain.client_profiles import OWNER, ClientProfile
from shared.domain.node_profiles import NodeProfile
from shared.domain.own_addresses import Address

__all__ = ["Asker", "LeafPlan", "PublicKey", "Refused", "plan_leaf", "plan_node"]

Extensions = list[tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True)
class LeafPlan:
    """What of a CSR goes into the certificate. Extensions come with whether they are critical."""

    subject: x509.Name
    public_key: PublicKey
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]
    addresses: frozenset[Address] = frozenset()
    """What a person's certificate would name of addresses: they must be the bay's own."""

    @property
    def subject_text(self) -> str:
        """The subject as RFC 4514 writes it."""
        return self.subject.rfc4514_string()


@dataclass(frozen=True)
class Asker:
    """Who asks for a certificate, and of which of the bay's authorities."""

    requester: str
    authority_kind: str = CLUSTER


def plan_leaf(csr_pem: str, profile: str, asker: Asker | None = None, policy: ClientPolicy | None = None) -> LeafPlan:
    """Read and check the CSR of a person or of our scaler.

    Raises:
        Refused: with the reason, worded as Magnum words it where Magnum has the rule.
    """
    known = client_profiles.PROFILES.get(profile)
    if known is None and profile != OWNER:
        raise Refused(f"The signing profile {profile!r} is not supported.", field="profile")
    csr = requests.load(csr_pem)
    try:
        if known is None:
            return _owner(csr, asker or Asker(""), policy or ClientPolicy())
        return _client(csr, profile, known, asker or Asker(""), policy or ClientPolicy())
    except UNREADABLE:
        raise invalid("a part of it cannot be read") from None


def plan_node(csr_pem: str, profile: NodeProfile, node_name: str) -> LeafPlan:
    """What a node of that name gets under a profile.

    Raises:
        Refused: the CSR cannot be read, or the names do not fit into a certificate.
    """
    csr = requests.load(csr_pem)
    try:
        key = requests.public_key(csr)
        _no_authority(csr)
        names = _host_names(csr) if profile.server else []
        if names:
            requests.check_names(names)
        common_name = profile.common_name.format(node=node_name)
        subject = _subject(profile.organization, common_name)
        usages = _usages(key, server=profile.server, client=profile.client)
        return LeafPlan(subject, key, (*usages, *_names(names, subject)))
    except UNREADABLE:
        raise invalid("a part of it, or the node's name, does not fit into a certificate") from None


def _owner(csr: x509.CertificateSigningRequest, asker: Asker, policy: ClientPolicy) -> LeafPlan:
    key, extensions = requests.public_key(csr), _copied(csr)
    pairs = requests.subject_pairs(csr.subject)
    names = [name for value, _ in extensions if isinstance(value, x509.SubjectAlternativeName) for name in value]
    if not pairs:
        if not names:
            raise invalid("it has neither a subject nor a subjectAltName")
        # RFC 5280, section 4.2.1.6: where there is no subject, the names are critical.
        extensions = [
            (value, critical or isinstance(value, x509.SubjectAlternativeName)) for value, critical in extensions
        ]
    policy.check_subject(pairs, asker.authority_kind)
    return LeafPlan(csr.subject, key, tuple(extensions), requests.addresses(pairs, names))


def _client(
    csr: x509.CertificateSigningRequest, name: str, profile: ClientProfile, asker: Asker, policy: ClientPolicy
) -> LeafPlan:
    if profile.only_for and asker.requester != profile.only_for:
        raise Refused(f"Certificates of profile {name} are not for people.", field="profile")
    if asker.authority_kind != CLUSTER:
        raise Refused(
            f"Certificates of profile {name} are of the cluster's own authority, not of {asker.authority_kind}.",
            field="ca_cert_type",
        )
    key = requests.public_key(csr)
    if profile.curves_only and not isinstance(key, ec.EllipticCurvePublicKey):
        raise invalid(f"the key of profile {name} is an elliptic curve's")
    _no_contradiction(csr, name)
    pairs = _right_subject(csr, name, profile, asker.requester)
    if not profile.only_for:
        policy.check_subject(pairs, asker.authority_kind)
    return LeafPlan(_subject(profile.organization, dict(pairs)["CN"]), key, tuple(_usages(key, client=True)))


def _right_subject(
    csr: x509.CertificateSigningRequest, name: str, profile: ClientProfile, requester: str
) -> list[requests.Pair]:
    """The subject that the CSR brings or, where it brings none, the profile's own."""
    asked = requests.subject_pairs(csr.subject)
    common_names = profile.common_names(requester)
    if not asked:
        return [("CN", common_names[0]), ("O", profile.organization)]
    if not any(sorted(asked) == [("CN", one), ("O", profile.organization)] for one in common_names):
        right = " or ".join(f"CN={shown(one)},O={profile.organization}" for one in common_names if one)
        text = ",".join(f"{kind}={value}" for kind, value in asked)
        raise invalid(f"the subject of profile {name} is {right} (or empty), not {shown(text)!r}")
    return asked


def _no_contradiction(csr: x509.CertificateSigningRequest, name: str) -> None:
    """Refuse extensions that say something else than the profile. Raises Refused."""
    for extension in csr.extensions:
        match extension.value:
            case x509.SubjectAlternativeName():
                raise invalid(f"a certificate of profile {name} carries no names of hosts (subjectAltName)")
            case x509.ExtendedKeyUsage() as purposes:
                if set(purposes) != {ExtendedKeyUsageOID.CLIENT_AUTH}:
                    raise invalid(f"the only extendedKeyUsage of profile {name} is clientAuth")
            case x509.KeyUsage() as usage:
                if _others(usage) or usage.content_commitment:
                    raise invalid(f"the keyUsage of profile {name} is digitalSignature and keyEncipherment")
            case _:
                _refuse_unknown(extension)


def _copied(csr: x509.CertificateSigningRequest) -> Extensions:
    """The extensions of an owner's CSR to copy. Constraints and key identifiers are always the authority's own."""
    kept: Extensions = []
    for extension in csr.extensions:
        match extension.value:
            case x509.KeyUsage() as usage:
                kept.append((_key_usage(usage, critical=extension.critical), extension.critical))
            case x509.SubjectAlternativeName() as names:
                requests.check_names(names)
                kept.append((names, extension.critical))
            case x509.ExtendedKeyUsage() as value:
                kept.append((value, extension.critical))
            case _:
                _refuse_unknown(extension)
    return kept


def _no_authority(csr: x509.CertificateSigningRequest) -> None:
    for extension in csr.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise not_allowed(extension.oid)


def _refuse_unknown(extension: x509.Extension[x509.ExtensionType]) -> None:
    """Refuse CA:true, and what is critical and not known; the rest is left out. Raises Refused."""
    if isinstance(extension.value, x509.BasicConstraints):
        if extension.value.ca:
            raise not_allowed(extension.oid)
    elif extension.critical and not isinstance(extension.value, x509.SubjectKeyIdentifier):
        raise not_allowed(extension.oid)


def _host_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The DNS names and addresses that it asks for, each once: the two forms that were attested."""
    try:
        asked = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(dict.fromkeys(name for name in asked if isinstance(name, x509.DNSName | x509.IPAddress)))


def _subject(organization: str, common_name: str) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(names: Iterable[x509.GeneralName], subject: x509.Name) -> Extensions:
    all_names = list(names)
    return [(x509.SubjectAlternativeName(all_names), not list(subject))] if all_names else []


def _usages(key: PublicKey, *, server: bool = False, client: bool = False) -> Extensions:
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
    purposes += [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
    usage = _usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPublicKey))
    return [(usage, True), (x509.ExtendedKeyUsage(purposes), False)]


def _others(asked: x509.KeyUsage) -> bool:
    """Whether it asks for what no leaf may have; the last two mean something with key agreement only."""
    return asked.data_encipherment or asked.key_agreement or asked.key_cert_sign or asked.crl_sign


def _key_usage(asked: x509.KeyUsage, *, critical: bool) -> x509.KeyUsage:
    """Digital signature, key encipherment and non-repudiation; others are refused when critical, else left out."""
    allowed = (asked.digital_signature, asked.content_commitment, asked.key_encipherment)
    if (critical and _others(asked)) or not any(allowed):
        raise not_allowed(ExtensionOID.KEY_USAGE)
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
