"""CMS for one key: the real `openssl cms -decrypt` opens it, as the node agent calls it, and no other key does."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.domain.errors import InvalidInput
from shared.pki_client import sealed_for
from shared.pki_client.der import integer, object_id, octets

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="NOT RUN: there is no openssl here")
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KEYS: dict[str, tuple[Key, Key]] = {
    "rsa2048": (rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)),
    "ec-p256": (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())),
    "ec-p384": (ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())),
}


def certificate(key: Key | ed25519.Ed25519PrivateKey, serial: int = 0x80 << 120) -> str:
    """Signed by itself; the serial's first bit is set, and its issuer's name has several parts."""
    parts = [(NameOID.ORGANIZATION_NAME, "Bäume & Söhne"), (NameOID.COMMON_NAME, "node")]
    name = x509.Name([x509.NameAttribute(*part) for part in parts])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def opened(folder: Path, cms: str, key: Key, pem: str) -> bytes | None:
    """What openssl makes of it; None when it cannot."""
    (folder / "cms").write_text(cms)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "crt").write_text(pem)
    command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", "cms", "-inkey", "key", "-out", "opened"]
    done = subprocess.run([*command, "-recip", "crt"], cwd=folder, capture_output=True, check=False)
    return (folder / "opened").read_bytes() if done.returncode == 0 else None


@needs_openssl
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 90, 5000], ids=lambda size: f"{size} bytes")
def test_openssl_opens_it_with_the_right_key_alone(tmp_path: Path, kind: str, size: int) -> None:
    content = b"{" + os.urandom(size)
    key, other = KEYS[kind]
    pem = certificate(key)
    assert opened(tmp_path, sealed_for(pem, content), key, pem) == content
    assert opened(tmp_path, sealed_for(pem, content), other, pem) != content


@needs_openssl
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("serial", [1, 0x7F, 0x80, 2**64, 2**158])
def test_the_recipient_is_named_by_issuer_and_serial(tmp_path: Path, kind: str, serial: int) -> None:
    key, _ = KEYS[kind]
    pem = certificate(key, serial)
    cms = sealed_for(pem, b"{}")
    assert opened(tmp_path, cms, key, pem) == b"{}"
    assert opened(tmp_path, cms, key, certificate(key, serial + 1)) is None


def test_every_message_has_keys_of_its_own() -> None:
    for key, _ in KEYS.values():
        pem = certificate(key)
        assert sealed_for(pem, b"same") != sealed_for(pem, b"same")


def test_what_cannot_be_encrypted_to_is_refused() -> None:
    with pytest.raises(InvalidInput, match="RSA or an elliptic-curve key"):
        sealed_for(certificate(ed25519.Ed25519PrivateKey.generate()), b"{}")
    with pytest.raises(InvalidInput, match="not a PEM certificate"):
        sealed_for("nonsense", b"{}")


def test_der_of_single_values() -> None:
    """Against X.690's own examples, and lengths at the limits of their forms."""
    assert [integer(value).hex() for value in (0, 127, 128, 256)] == ["020100", "02017f", "02020080", "02020100"]
    assert object_id("1.2.840.113549").hex() == "06062a864886f70d"
    assert [octets(bytes(size))[:4].hex() for size in (127, 128, 256)] == ["047f0000", "04818000", "04820100"]
