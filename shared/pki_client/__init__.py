"""What a client of a certificate authority does: key and CSR, reading certificates, checking a chain, sealing."""

from __future__ import annotations

from shared.pki_client.chain import ChainError, verify_chain
from shared.pki_client.describe import CertificateFacts, describe
from shared.pki_client.describe_request import RequestFacts, describe_request
from shared.pki_client.envelope import sealed_for
from shared.pki_client.request import KeyAndCsr, KeyKind, new_key, new_key_and_csr

__all__ = [
    "CertificateFacts",
    "ChainError",
    "KeyAndCsr",
    "KeyKind",
    "RequestFacts",
    "describe",
    "describe_request",
    "new_key",
    "new_key_and_csr",
    "sealed_for",
    "verify_chain",
]
