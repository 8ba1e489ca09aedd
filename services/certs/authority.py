"""One certificate authority: how it is made and how it signs. No database, no clock, no network.

Signing follows boulder's order: `prepare` puts together and lints what is to be signed (`lint.py`) and returns a token;
`sign` turns the token into a certificate, once, only at the authority that prepared it, and only the very certificate
that was linted. Before the two the caller has recorded its intent. The signature is deterministic (RFC 6979 for EC,
PKCS #1 v1.5 for RSA), so an interrupted signature that is made again from the same record is the same certificate, byte
for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from services.certs.lint import AuthorityKey, lint
from services.certs.profiles import LeafPlan
from shared.domain.errors import JeroboamError
from shared.pki_client import KeyKind, new_key

BACKDATED: Final = timedelta(days=1)
"""notBefore lies so far back, for nodes whose clock is late (contract §5.2)."""


class SpentToken(JeroboamError):
    """A token was used twice, at another authority, or for another certificate: our own bug."""


@dataclass(frozen=True)
class NewAuthority:
    """A CA certificate and its private key (PKCS#8 DER, not encrypted, kept out of the repr)."""

    certificate: str
    key: bytes = field(repr=False)
    not_after: datetime


@dataclass(frozen=True)
class Intent:
    """What was recorded before the key is used; the certificate follows from it and the CSR alone."""

    serial: int
    not_before: datetime
    not_after: datetime


class Token:
    """The right to one signature. Made by `Authority.prepare`, spent by `Authority.sign` of the same authority.

    `linted` is the part of the certificate that is signed, as the lint has seen it.
    """

    def __init__(self, issuer: Authority, builder: x509.CertificateBuilder, linted: bytes) -> None:
        self.linted = linted
        self._issuer = issuer
        self._builder: x509.CertificateBuilder | None = builder

    def spend(self, issuer: Authority) -> x509.CertificateBuilder:
        """The prepared certificate. Raises SpentToken the second time, or at another authority."""
        builder, self._builder = self._builder, None
        if builder is None or issuer is not self._issuer:
            raise SpentToken("A signing token works once and only at the authority that made it.")
        return builder


class Authority:
    """An authority whose key is in memory. Its methods use the CPU: call them in a thread."""

    def __init__(self, certificate_pem: str, key_der: bytes) -> None:
        """Raises ValueError when the key is unreadable, of another kind than we make, or not the certificate's."""
        key = _authority_key(key_der)
        self._certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        if key.public_key() != self._certificate.public_key():
            raise ValueError("the key does not belong to the authority's certificate")
        self._key = key
        own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def prepare(self, plan: LeafPlan, intent: Intent) -> Token:
        """Put the certificate together and lint it; the key is not used yet.

        Subject, key and extensions come from the plan; basicConstraints CA:false and both key identifiers are added.

        Raises:
            LintFailed: it is not what it must be.
        """
        builder = _builder(plan.subject, self._certificate.subject, intent).public_key(plan.public_key)
        for value, critical in plan.extensions:
            builder = builder.add_extension(value, critical)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(plan.public_key), critical=False)
        builder = builder.add_extension(self._identifier, critical=False)
        return Token(self, builder, lint(builder, plan, intent, self._certificate))

    def sign(self, token: Token) -> str:
        """Use the key: the certificate as PEM. Raises SpentToken."""
        certificate = _sign(token.spend(self), self._key)
        if certificate.tbs_certificate_bytes != token.linted:
            raise SpentToken("What was signed is not what was linted.")
        return _pem(certificate)


def new_authority_key(kind: KeyKind) -> bytes:
    """A private key for an authority (PKCS#8 DER, not encrypted). RSA takes about 60 ms of CPU: use a thread."""
    return new_key(kind).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def make_authority(common_name: str, key_der: bytes, serial: int, now: datetime, validity: timedelta) -> NewAuthority:
    """Make a self-signed CA with Magnum's properties (contract §5.2), of this key. Raises ValueError as `Authority`."""
    key = _authority_key(key_der)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    intent = Intent(serial, now - BACKDATED, (now + validity).replace(microsecond=0))
    builder = (
        _builder(name, name, intent)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_ONLY_CERT_SIGN, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return NewAuthority(_pem(_sign(builder, key)), key_der, intent.not_after)


_ONLY_CERT_SIGN: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _authority_key(key_der: bytes) -> AuthorityKey:
    key = load_der_private_key(key_der, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("an authority's key must be EC or RSA")  # noqa: TRY004 - the value is wrong, not the call
    return key


def _builder(subject: x509.Name, issuer: x509.Name, intent: Intent) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(intent.serial)
        .not_valid_before(intent.not_before)
        .not_valid_after(intent.not_after)
    )


def _sign(builder: x509.CertificateBuilder, key: AuthorityKey) -> x509.Certificate:
    deterministic = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, SHA256(), ecdsa_deterministic=deterministic)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
