"""CSRs that the tests send, good and bad, and authorities to sign them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.certs.authority import Authority, NewAuthority, make_authority, new_authority_key
from shared.pki_client import KeyKind

NOW = datetime.now(UTC).replace(microsecond=0)
YEARS = timedelta(days=5 * 365)


def new_authority(name: str = "kube", kind: KeyKind = KeyKind.EC_P256) -> tuple[NewAuthority, Authority]:
    made = make_authority(name, new_authority_key(kind), 77, NOW, YEARS)
    return made, Authority(made.certificate, made.key)


def csr(
    *extensions: tuple[x509.ExtensionType, bool],
    names: Sequence[tuple[x509.ObjectIdentifier, str]] = (
        (NameOID.COMMON_NAME, "admin"),
        (NameOID.ORGANIZATION_NAME, "system:masters"),
    ),
    key: CertificateIssuerPrivateKeyTypes | None = None,
    algorithm: HashAlgorithm | None = None,
) -> str:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        request = builder.sign(key, None)
    else:
        request = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), algorithm or SHA256())  # type: ignore[arg-type]
    return request.public_bytes(Encoding.PEM).decode()


def key_usage(*names: str) -> x509.KeyUsage:
    usages = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**usages, **dict.fromkeys(names, True)})


CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SAN = x509.SubjectAlternativeName([x509.DNSName("kubernetes"), x509.DNSName("localhost")])
