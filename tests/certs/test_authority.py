"""Authorities and leaves, judged by the cryptography library and by openssl."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from services.certs.authority import Authority, Intent, SpentToken
from services.certs.profiles import plan_leaf
from shared.db.repositories.sign_requests import OWNER_PROFILE
from shared.pki_client import ChainError, KeyKind, describe, new_key_and_csr, verify_chain
from tests.certs.requests import CLIENT_AUTH, NOW, SAN, YEARS, csr, key_usage, new_authority

INTENT = Intent(serial=(1 << 127) + 5, not_before=NOW - timedelta(days=1), not_after=NOW + YEARS - timedelta(hours=1))


def sign(authority: Authority, request: str, intent: Intent = INTENT) -> str:
    return authority.sign(authority.prepare(plan_leaf(request, OWNER_PROFILE), intent))


def openssl(*arguments: str | Path) -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", list(KeyKind))
def test_an_authority_has_magnums_properties(kind: KeyKind) -> None:
    made, _ = new_authority("kube", kind)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    extensions = certificate.extensions

    assert certificate.version is x509.Version.v3
    assert certificate.subject == certificate.issuer == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube")])
    assert isinstance(certificate.signature_hash_algorithm, SHA256)
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (NOW - timedelta(days=1), NOW + YEARS)
    assert made.not_after == certificate.not_valid_after_utc
    assert certificate.serial_number == 77
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value) == (True, key_usage("key_cert_sign"))
    own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert describe(made.certificate).key == {KeyKind.EC_P256: "EC secp256r1", KeyKind.RSA_2048: "RSA 2048"}[kind]
    verify_chain(made.certificate, made.certificate)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_leaf_is_what_the_csr_asked_for_and_openssl_accepts_it(tmp_path: Path, kind: KeyKind) -> None:
    made, authority = new_authority("kube", kind)
    pem = sign(
        authority, csr((key_usage("digital_signature", "key_encipherment"), True), (CLIENT_AUTH, False), (SAN, False))
    )
    leaf = x509.load_pem_x509_certificate(pem.encode())
    ca = x509.load_pem_x509_certificate(made.certificate.encode())

    assert leaf.subject.rfc4514_string() == "O=system:masters,CN=admin"
    assert leaf.serial_number == INTENT.serial
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (INTENT.not_before, INTENT.not_after)
    found = {extension.value: extension.critical for extension in leaf.extensions}
    assert found == {
        key_usage("digital_signature", "key_encipherment"): True,
        CLIENT_AUTH: False,
        SAN: False,
        x509.BasicConstraints(ca=False, path_length=None): True,
        x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()): False,
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()): False,  # type: ignore[arg-type]
    }
    verify_chain(pem, made.certificate)
    (tmp_path / "ca.pem").write_text(made.certificate)
    (tmp_path / "leaf.pem").write_text(pem)
    assert "leaf.pem: OK" in openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", tmp_path / "ca.pem", tmp_path / "leaf.pem"
    )


def test_another_bays_authority_does_not_verify_it(tmp_path: Path) -> None:
    made, authority = new_authority("kube")
    twin, _ = new_authority("kube")
    other, _ = new_authority("other")
    pem = sign(authority, new_key_and_csr("admin", "system:masters").csr_pem)

    with pytest.raises(ChainError, match="did not sign"):
        verify_chain(pem, twin.certificate)
    with pytest.raises(ChainError, match="was issued by 'CN=kube'"):
        verify_chain(pem, other.certificate)
    with pytest.raises(ChainError, match=r"CA:true|did not sign|issued by"):
        verify_chain(made.certificate, pem)
    (tmp_path / "twin.pem").write_text(twin.certificate)
    (tmp_path / "leaf.pem").write_text(pem)
    assert "verification failed" in openssl("verify", "-CAfile", tmp_path / "twin.pem", tmp_path / "leaf.pem")


def test_a_leaf_cannot_pass_as_an_authority() -> None:
    _, authority = new_authority("kube")
    key = ec.generate_private_key(ec.SECP256R1())
    middle = sign(authority, csr(names=[(NameOID.COMMON_NAME, "middle")], key=key))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "middle")])
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .sign(key, SHA256())
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    with pytest.raises(ChainError, match="CA:true"):
        verify_chain(forged.public_bytes(Encoding.PEM).decode(), middle)


def test_validity_is_checked_for_both() -> None:
    made, authority = new_authority()
    pem = sign(authority, csr())

    with pytest.raises(ChainError, match="certificate is not valid before"):
        verify_chain(pem, made.certificate, now=NOW - timedelta(days=2))
    with pytest.raises(ChainError, match="certificate expired at"):
        verify_chain(pem, made.certificate, now=NOW + YEARS)
    with pytest.raises(ChainError, match="not a PEM certificate"):
        verify_chain("nonsense", made.certificate)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_the_same_intent_gives_the_same_certificate(kind: KeyKind) -> None:
    _, authority = new_authority("kube", kind)
    request = csr((SAN, False))

    assert sign(authority, request) == sign(authority, request)


def test_a_token_works_once_and_only_at_home() -> None:
    _, one = new_authority("one")
    _, other = new_authority("other")
    plan = plan_leaf(csr(), OWNER_PROFILE)
    token = one.prepare(plan, INTENT)

    one.sign(token)
    with pytest.raises(SpentToken):
        one.sign(token)
    with pytest.raises(SpentToken):
        other.sign(one.prepare(plan, INTENT))


def test_a_foreign_key_is_refused() -> None:
    one, _ = new_authority("one")
    other, _ = new_authority("other")

    with pytest.raises(ValueError, match="does not belong"):
        Authority(one.certificate, other.key)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_other_kinds_of_client_keys_are_signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    made, authority = new_authority()

    verify_chain(sign(authority, csr(key=key)), made.certificate)
