"""Authorities for the node agent's tests: real certificates for whatever CSR comes, and what masters share."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
DAY = datetime.timedelta(days=1)


class Authority:
    """One authority of a bay. Those of one kind have the same name, and are told apart by key identifiers."""

    def __init__(self, name: str = "bay", kind: Literal["ec", "rsa"] = "ec") -> None:
        self.key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
            ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        )
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        ca = x509.BasicConstraints(ca=True, path_length=None)
        own = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = self._builder(self.name, self.key.public_key()).add_extension(ca, critical=True)
        self.certificate = builder.add_extension(own, critical=False).sign(self.key, hashes.SHA256())
        self.pem = pem(self.certificate)

    def _builder(self, subject: x509.Name, key: PublicKey, days: int = 9) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - 10 * DAY).not_valid_after(now + days * DAY)

    def sign(self, csr_pem: str, days: int = 9) -> str:
        """A certificate for the CSR's key with the CSR's names; expired when `days` is negative."""
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        assert csr.is_signature_valid
        key = csr.public_key()
        assert isinstance(key, PublicKey)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = self._builder(csr.subject, key, days).add_extension(issuer, critical=False)
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return pem(builder.sign(self.key, hashes.SHA256()))

    def signed(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except Exception:
            return False
        return True


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def someone_elses_csr() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def seal(shared: Mapping[str, str], certificate_pem: str) -> str:
    """CMS EnvelopedData that only the certificate's key opens."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(json.dumps(dict(shared)).encode()).add_recipient(certificate)
    options = [pkcs7.PKCS7Options.Binary]
    return builder.encrypt(serialization.Encoding.PEM, options).decode()
