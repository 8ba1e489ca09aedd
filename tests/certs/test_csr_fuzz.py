"""Two thousand broken CSRs, the same ones each time: each is refused in words or planned, none crashes anything.

Half of them are broken after they were signed. The others are signed again by their key, so that what is broken is
looked at, and not only the signature.
"""

from __future__ import annotations

import base64
import random
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from services.certs.client_policy import ClientPolicy, parse_patterns
from services.certs.profiles import Asker, Refused, plan_leaf, plan_node
from shared.domain import client_profiles, node_profiles
from tests.certs.requests import CLIENT_AUTH, SAN, csr, key_usage

SEED: Final = 6
COUNT: Final = 2000
KEY: Final = ec.derive_private_key(SEED, ec.SECP256R1())
NAMES: Final = x509.SubjectAlternativeName([x509.DNSName("kube"), x509.RFC822Name("a@b"), x509.DNSName("a.b")])
POLICY: Final = ClientPolicy(parse_patterns("CN=*,O=*;CN=*"))
ASKERS: Final = {client_profiles.SCALER: Asker(client_profiles.SCALER_REQUESTER)}
PROFILES: Final = (*client_profiles.PUBLIC, client_profiles.SCALER)
ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")


def whole_ones() -> list[x509.CertificateSigningRequest]:
    """What changes are made to."""
    extensions: tuple[tuple[tuple[x509.ExtensionType, bool], ...], ...] = (
        (),
        ((SAN, False),),
        ((NAMES, True), (CLIENT_AUTH, False), (key_usage("digital_signature"), True)),
        ((x509.BasicConstraints(ca=False, path_length=None), True),),
    )
    masters = [(NameOID.COMMON_NAME, "admin"), (NameOID.ORGANIZATION_NAME, "système:masters")]
    return [
        x509.load_pem_x509_csr(csr(*one, names=names, key=KEY).encode())
        for one in extensions
        for names in (masters, masters[:0])
    ]


def damaged(dice: random.Random, whole: bytes) -> bytes:
    """Bytes turned, cut, doubled, or a length or type changed, one to three times."""
    der = bytearray(whole)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(der))
        match dice.randrange(5):
            case 0:
                der[at] ^= 1 << dice.randrange(8)
            case 1:
                der[at] = dice.choice((0, 0x2A, 0x7F, 0x80, 0xFF, 0x30, 0x31, 0x13, 0x1E, 0x03, 0x05))
            case 2:
                del der[at : at + dice.randint(1, 8)]
            case 3:
                der[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 8)))
            case _:
                der[at : at + 4] = der[dice.randrange(len(der)) :][:4]
        if not der:
            return b"\x30\x00"
    return bytes(der)


def turned(dice: random.Random, whole: bytes) -> bytes:
    """One to three bytes changed behind the key, all lengths as they were: the subject stays, extensions suffer."""
    der = bytearray(whole)
    for _ in range(dice.randint(1, 3)):
        at = dice.choice((dice.randrange(len(der)), dice.randrange(min(150, len(der) - 1), len(der))))
        der[at] = dice.choice((der[at] ^ (1 << dice.randrange(8)), dice.randrange(256), 0x2A, 0))
    return bytes(der)


def signed(info: bytes) -> bytes:
    """A CSR of these bytes, signed as it should be."""
    signature = KEY.sign(info, ec.ECDSA(SHA256(), deterministic_signing=True))
    return tagged(0x30, info + ECDSA_SHA256 + tagged(0x03, b"\x00" + signature))


def tagged(tag: int, content: bytes) -> bytes:
    """DER of one value."""
    length = len(content)
    size = length.to_bytes((length.bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (bytes([length]) if length < 128 else bytes([0x80 | len(size)]) + size) + content


def as_pem(dice: random.Random, der: bytes) -> str:
    """Mostly well wrapped; now and then the text around it is broken too."""
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
    match dice.randrange(40):
        case 0:
            return pem.replace("REQUEST", "", 1)
        case 1:
            return pem[: dice.randrange(len(pem))]
        case 2:
            return pem.replace("A", dice.choice(("\x00", "é", "\udc80", "=")), 3)
        case _:
            return pem


def requests() -> Iterator[str]:
    """All of them."""
    dice, whole = random.Random(SEED), whole_ones()
    for number in range(COUNT):
        one = dice.choice(whole)
        if number % 2:
            yield as_pem(dice, damaged(dice, one.public_bytes(Encoding.DER)))
        else:
            yield as_pem(dice, signed(dice.choice((turned, damaged))(dice, one.tbs_certrequest_bytes)))


def words_of(plan: Callable[[], object]) -> str | None:
    """Why it is refused; None: it is planned. Anything else that is raised fails the test."""
    try:
        plan()
    except Refused as refusal:
        return refusal.message
    return None


@pytest.mark.filterwarnings("ignore")  # what the library says of odd parts is of no interest to anybody
def test_no_csr_crashes_anything() -> None:
    said: list[str] = []
    for number, request in enumerate(requests()):
        profile = PROFILES[number // 2 % len(PROFILES)]
        asker = ASKERS.get(profile, Asker("3f1c"))
        for plan in (
            lambda request=request, profile=profile, asker=asker: plan_leaf(request, profile, asker, POLICY),
            lambda request=request: plan_node(request, node_profiles.PROFILES["etcd"], "kube-master-0"),
        ):
            words = words_of(plan)
            if words is not None:
                said.append(words)

    assert COUNT < len(said) < 2 * COUNT  # some that were signed again are harmless
    assert all(one.isprintable() and 20 < len(one) < 400 for one in said)
    assert len(set(said)) > 20  # it was not the signature alone that was looked at
