"""The gate for CSRs: what cannot be signed is refused before it costs anybody anything.

The authority has the last word (`services.certs`); this gate has the rules that need no authority.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.domain.errors import InvalidInput
from shared.pki_client import describe_request

_RSA_BITS: Final = (2048, 8192)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


def check_node_csr(pem: str) -> None:
    """Let a node's CSR through: its key also signs the node's calls, so it must be RSA or EC.

    Raises:
        InvalidInput: as `check_csr`, or the key is of another kind, or a name is neither a DNS name nor an address.
    """
    check_csr(pem)
    describe_request(pem)
    if isinstance(x509.load_pem_x509_csr(pem.encode()).public_key(), ed25519.Ed25519PublicKey):
        raise _invalid("a node's key must be RSA or EC")


def check_csr(pem: str) -> None:
    """Let a CSR through.

    Raises:
        InvalidInput: it is no CSR, its signature is not of its key, or its key is weak.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise _invalid("it is not a PEM certificate request") from None
    if isinstance(key, rsa.RSAPublicKey):
        low, high = _RSA_BITS
        if not low <= key.key_size <= high:
            raise _invalid(f"its RSA key has {key.key_size} bits, allowed are {low} to {high}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise _invalid(f"its curve {key.curve.name} is not allowed, use P-256, P-384 or P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise _invalid("its key must be RSA, EC or Ed25519")
    try:
        genuine = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        genuine = False
    if not genuine:
        raise _invalid("its signature does not match its key")


def _invalid(why: str) -> InvalidInput:
    return InvalidInput(f"Received invalid csr: {why}.", field="csr")
