"""CSRs as people send them, good and bad."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)


def csr_of(
    key: CertificateIssuerPrivateKeyTypes | None = None,
    name: str = "admin",
    extensions: Sequence[x509.ExtensionType] = (),
) -> str:
    """A CSR; its subject is an administrator's of Kubernetes, its key new and good unless one is given."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        request = request.add_extension(extension, critical=False)
    signed = request.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def hosts(*names: str) -> x509.SubjectAlternativeName:
    """Names of hosts in a CSR."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def addresses(*names: str) -> x509.SubjectAlternativeName:
    """Addresses in a CSR, and networks where there is a slash."""
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ip_network(name) if "/" in name else ip_address(name)) for name in names]
    )


@cache
def bad_ones() -> dict[str, str]:
    """CSRs that every bay refuses, by what the audit trail calls their fault."""
    return {
        "no CSR": "-----BEGIN CERTIFICATE REQUEST-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE REQUEST-----\n",
        "malformed request": "x" * 20_000,
        "weak key": csr_of(rsa.generate_private_key(65537, 1024)),
        "weak hash": WITH_SHA1,
        "CA:true": csr_of(extensions=[AUTHORITY]),
        "wildcard": csr_of(extensions=[hosts("*.example.org")]),
        "foreign address": csr_of(extensions=[addresses("8.8.8.8")]),
    }


WITH_SHA1 = """\
-----BEGIN CERTIFICATE REQUEST-----
MIICbjCCAVYCAQAwKTEXMBUGA1UECgwOc3lzdGVtOm1hc3RlcnMxDjAMBgNVBAMM
BWFkbWluMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoSHwWdTB1SO1
kQ7cnOpE0flJQstq5ArK3zZ3k5VscC36NLe/kI6C9xlB00RKP64/xAcJ/xvfLHGz
lR5FWCFpNDcsfkHXYWHzUCmwtHFEkB5Qe+GKrk+OyvKb5GeNd2JxEKauxBPiOOpu
BDRcFpQu/Teu9CCqrh1N9C5gpKSAFouQ5AIZLmrZBWdLP/A+chFQKXS0S0hHHK4Q
Mh4UiWhCC2pAMRtZ7hXdU0Xe5EyJvFo1rRF4FKlv17fkYVV8g9r9ylkteUwawKiv
aU9o+xclDwQSNdJxaVTtLsqcEgjkUBTd0bEr/dU5xB469Mr1mvEndBjre8xIoe90
dBNO/zgUYQIDAQABoAAwDQYJKoZIhvcNAQEFBQADggEBAIvoFLT7WTt/TGnvpc71
Jfpn/YUvg7/JKO05J5kPosXhqbcZuPXsk4qWvjncKYeScwBakzecCUhwwdZ7WsGq
P8679Q03T30ZgdKe+haveWoAfyPTkwI1x43FFOjB7iS51RC4pQAlXUm/+Ii1oWUX
cJyW+VQFu9cfShEBkttQbRkQClevciS1/0ZvKwC0503Bj0jxp+qLOSGe4s/VbYbF
93J578j1Q3AlQznOTS2EiozLpUISCh/WcKAveESvHoZgiA3upTR7zpuj2GPW4Fbn
9XrQ9bgPEwciw/8/67tNXp1coinsx9EzBb2Fy5apTlUwg3kjLSz8br+Dh5Mgc7D4
tn4=
-----END CERTIFICATE REQUEST-----
"""
"""Made by `openssl req -sha1`: our library does not sign with it any more."""
