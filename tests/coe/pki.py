"""A bay's authority, what it signs for servers and for us, all real."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloudsim.coe import Identity
from shared.coe.connect import ClientCertificate
from shared.pki_client import new_key_and_csr
from tests.drivers.agent_pki import Authority

__all__ = ["Authority", "client", "server"]


def server(authority: Authority, address: str = "127.0.0.1", *, days: int = 9) -> Identity:
    """A server of that address, which takes clients of the same authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=True)
    signed = csr.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Identity(authority.sign(signed, days), pem, authority.pem)


def client(authority: Authority, *, days: int = 9, group: str = "jeroboam:scaler") -> ClientCertificate:
    """Our scaler's certificate, or one of another group."""
    ours = new_key_and_csr("jeroboam-scaler", group)
    return ClientCertificate(authority.sign(ours.csr_pem, days), ours.key_pem)
