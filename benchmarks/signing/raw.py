"""The authority's key without the rest, beside `openssl speed`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from services.certs.authority import Authority, Intent, make_authority, new_authority_key
from services.certs.profiles import plan_leaf
from shared.db.repositories.sign_requests import OWNER_PROFILE
from shared.pki_client import KeyKind, new_key_and_csr

_SECONDS: Final = 1
_ROUNDS: Final = 2
_NAMES: Final = {KeyKind.RSA_2048: "rsa2048", KeyKind.EC_P256: "ecdsap256"}
_DATA: Final = b"to be signed".ljust(600)


@dataclass(frozen=True)
class Raw:
    """Signatures a second of one thread: `openssl speed`, the key as we call it, and certificates from a CSR."""

    key: str
    openssl: float
    bare: float
    certificates: float


def measure() -> list[Raw]:
    """Both kinds of key; the best of some rounds, in turns, because the machine is never quite still."""
    csr = new_key_and_csr("admin", "system:masters").csr_pem
    return [_one(kind, name, csr) for kind, name in _NAMES.items()]


def _one(kind: KeyKind, name: str, csr: str) -> Raw:
    now = datetime.now(UTC).replace(microsecond=0)
    key_der = new_authority_key(kind)
    made = make_authority("bay", key_der, 1, now, timedelta(days=365))
    authority, intent = Authority(made.certificate, key_der), Intent(2, now, now + timedelta(days=30))

    def certificate() -> None:
        authority.sign(authority.prepare(plan_leaf(csr, OWNER_PROFILE), intent))

    rounds = [(_openssl(name), _rate(_bare(key_der)), _rate(certificate)) for _ in range(_ROUNDS)]
    return Raw(name, *(max(figures) for figures in zip(*rounds, strict=True)))


def _bare(key_der: bytes) -> Callable[[], object]:
    key = load_der_private_key(key_der, password=None)
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda: key.sign(_DATA, PKCS1v15(), SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        how = ec.ECDSA(SHA256(), deterministic_signing=True)
        return lambda: key.sign(_DATA, how)
    raise TypeError(f"no authority has a key of {type(key)}")


def _rate(work: Callable[[], object]) -> float:
    """Calls a second of this thread's CPU, as `openssl speed` counts."""
    done, start = 0, time.thread_time()
    while (used := time.thread_time() - start) < _SECONDS:
        for _ in range(20):
            work()
        done += 20
    return done / used


def _openssl(name: str) -> float:
    """Signatures a second, out of its line for programs: +F2 (RSA) or +F4 (ECDSA), number, bits, signatures, checks."""
    command = ["openssl", "speed", "-mr", "-seconds", str(_SECONDS), name]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in text.splitlines() if line.startswith(("+F2:", "+F4:")))
    return float(line.split(":")[3])
