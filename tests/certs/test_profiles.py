"""Which CSRs are refused, with which words, and what is quietly left out of the others (contract §5.2)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA224
from cryptography.x509.oid import NameOID

from services.certs.csr import MAX_CSR_CHARACTERS
from services.certs.profiles import Refused, plan_leaf
from shared.db.repositories.sign_requests import OWNER_PROFILE
from tests.certs.requests import CLIENT_AUTH, csr, key_usage

UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])


def refusal(request: str, profile: str = OWNER_PROFILE) -> str:
    with pytest.raises(Refused) as caught:
        plan_leaf(request, profile)
    return caught.value.message


@pytest.mark.parametrize(
    ("extension", "critical", "name"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), True, "basicConstraints"),
        (x509.BasicConstraints(ca=True, path_length=0), False, "basicConstraints"),
        (key_usage("key_cert_sign"), True, "keyUsage"),
        (key_usage("digital_signature", "crl_sign"), True, "keyUsage"),
        (key_usage("key_agreement"), False, "keyUsage"),
        (POLICIES, True, "certificatePolicies"),
        (UNKNOWN, True, "1.2.3.4"),
    ],
)
def test_extensions_that_are_refused_in_magnums_words(extension: x509.ExtensionType, critical: bool, name: str) -> None:
    assert refusal(csr((extension, critical))) == f"Extension '{name}' not allowed"


def test_what_is_not_critical_is_left_out() -> None:
    plan = plan_leaf(
        csr(
            (UNKNOWN, False),
            (POLICIES, False),
            (key_usage("digital_signature", "key_cert_sign"), False),
            (CLIENT_AUTH, True),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectKeyIdentifier(b"a made-up one"), False),
        ),
        OWNER_PROFILE,
    )

    assert plan.extensions == ((key_usage("digital_signature"), False), (CLIENT_AUTH, True))


@pytest.mark.parametrize(
    ("request_pem", "reason"),
    [
        ("", "not a PEM certificate request"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", "not a PEM"),
        ("x" * (MAX_CSR_CHARACTERS + 1), "allowed are 16384"),
        (csr(key=rsa.generate_private_key(65537, 1024)), "RSA key has 1024 bits"),
        (csr(key=ec.generate_private_key(ec.SECP256K1())), "secp256k1 is not allowed"),
        (csr(key=dsa.generate_private_key(2048)), "must be RSA, EC or Ed25519"),
        (csr(algorithm=SHA224()), "weak hash"),
        (csr(names=[(NameOID.COMMON_NAME, "nul\x00byte")]), "control characters"),
    ],
    ids=["empty", "no request", "long", "weak RSA", "odd curve", "DSA", "weak hash", "control character"],
)
def test_unusable_csrs_are_refused_with_the_reason(request_pem: str, reason: str) -> None:
    message = refusal(request_pem)

    assert message.startswith("Received invalid csr: ")
    assert reason in message


def test_a_csr_signed_by_another_key_is_refused() -> None:
    good = x509.load_pem_x509_csr(csr().encode())
    from base64 import encodebytes

    from cryptography.hazmat.primitives.serialization import Encoding

    der = bytearray(good.public_bytes(Encoding.DER))
    der[der.index(b"admin")] ^= 1  # the subject changes, the signature does not
    body = encodebytes(bytes(der)).decode()

    message = refusal(f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n")
    assert "signature does not match" in message


def test_the_subject_is_taken_as_given() -> None:
    names = [(NameOID.ORGANIZATION_NAME, "système:été"), (NameOID.COMMON_NAME, "a"), (NameOID.COMMON_NAME, "b")]

    assert plan_leaf(csr(names=names), OWNER_PROFILE).subject_text == "CN=b,CN=a,O=système:été"


def test_an_unknown_profile_is_refused() -> None:
    assert "'root' is not supported" in refusal(csr(), "root")
