"""A bay's side of TLS: its server certificate, and the authority whose client certificates it takes."""

from __future__ import annotations

import hmac
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node was given by its bay's authority, all PEM."""

    certificate: str
    """The server's, and what follows it up to the authority."""
    key: str = field(repr=False)
    authority: str
    """Who signed the clients' certificates; several while a bay changes its authority."""

    def same(self, other: Identity) -> bool:
        """Whether nothing is to be changed."""
        known = (other.certificate, other.authority) == (self.certificate, self.authority)
        return known and hmac.compare_digest(self.key, other.key)


@lru_cache(maxsize=2048)
def context(identity: Identity, *, must: bool) -> ssl.SSLContext:
    """How a server of that identity talks. A client's certificate is checked, and missed only when it `must` be there.

    Raises:
        ssl.SSLError: certificate and key do not belong together, or are none.
    """
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.verify_mode = ssl.CERT_REQUIRED if must else ssl.CERT_OPTIONAL
    found.load_verify_locations(cadata=identity.authority)
    _load(found, identity.certificate, identity.key)
    return found


def _load(found: ssl.SSLContext, certificate: str, key: str) -> None:
    """The standard library takes them from a file only; it lives as long as this call."""
    descriptor, name = tempfile.mkstemp(suffix=".pem")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.rstrip() + "\n" + certificate)
        found.load_cert_chain(name)
    finally:
        Path(name).unlink()


@lru_cache(maxsize=1)
def stranger() -> ssl.SSLContext:
    """A server whose certificate nobody trusts: it signed it itself, for another name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger.invalid")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(found, certificate, pem)
    return found
