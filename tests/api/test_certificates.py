"""Certificates of a bay, signed by a real authority process (contract §1.14)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from tests.api.harness import System, detail


def csr_of(key: CertificateIssuerPrivateKeyTypes | None = None, name: str = "admin") -> str:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


async def authority_of(system: System, bay: dict[str, Any], query: str = "") -> dict[str, Any]:
    """The bay's authority, once certs has made it."""
    async with asyncio.timeout(30):
        while True:
            answer = system.call("GET", f"/v1/certificates/{bay['uuid']}{query}")
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            assert "has no kubernetes certificate authority; its status is CREATE_IN_PROGRESS" in detail(answer)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("key", ["bay_uuid", "cluster_uuid"])
async def test_signed_and_verifiable(system: System, key: str) -> None:
    bay = system.bay()
    authority = await authority_of(system, bay)
    csr = csr_of()
    for ident in (bay["uuid"], bay["name"]):
        answer = system.call("POST", "/v1/certificates", {key: ident, "csr": csr}, version="14")
        assert answer.status_code == 201, answer.text
        assert list(answer.json()) == ["bay_uuid", "cluster_uuid", "pem", "csr", "links"]
        assert answer.json()["csr"] == csr
        signed = x509.load_pem_x509_certificate(answer.json()["pem"].encode())
        signed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority["pem"].encode()))
        assert signed.subject.rfc4514_string() == "O=system:masters,CN=admin"


async def test_the_same_csr_gets_the_same_certificate(system: System) -> None:
    bay = system.bay()
    await authority_of(system, bay)
    body = {"bay_uuid": bay["uuid"], "csr": csr_of()}
    first, second = (system.call("POST", "/v1/certificates", body).json()["pem"] for _ in range(2))
    assert first == second
    assert system.call("POST", "/v1/certificates", {**body, "csr": csr_of()}).json()["pem"] != first


async def test_authority_document(system: System) -> None:
    bay = system.bay()
    found = await authority_of(system, bay)
    assert list(found) == ["bay_uuid", "cluster_uuid", "pem", "links"]
    assert found["bay_uuid"] == found["cluster_uuid"] == bay["uuid"]
    assert found["links"][0]["href"] == f"{system.api_url}/v1/certificates/{bay['uuid']}"
    kinds = {
        kind: (await authority_of(system, bay, f"?ca_cert_type={kind}"))["pem"] for kind in ("etcd", "front-proxy")
    }
    assert len({found["pem"], *kinds.values()}) == 3
    assert (await authority_of(system, bay, "?ca_cert_type=front_proxy"))["pem"] == kinds["front-proxy"]
    answer = system.call("GET", f"/v1/certificates/{bay['uuid']}?ca_cert_type=nope")
    assert answer.status_code == 400
    assert "Value should be one of: kubernetes, etcd, front_proxy, front-proxy" in detail(answer)


async def test_creator_and_administrator_only(system: System) -> None:
    bay = system.bay()
    await authority_of(system, bay)
    body = {"bay_uuid": bay["uuid"], "csr": csr_of()}
    for answer, rule in (
        (system.call("GET", f"/v1/certificates/{bay['uuid']}", user="reader"), "certificate:get"),
        (system.call("POST", "/v1/certificates", body, user="reader"), "certificate:create"),
    ):
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow {rule} to be performed."
    assert system.call("GET", f"/v1/certificates/{bay['uuid']}", user="admin").status_code == 200
    assert system.call("POST", "/v1/certificates", body, user="admin").status_code == 201
    assert system.call("GET", f"/v1/certificates/{bay['uuid']}", user="alt").status_code == 404


def test_unknown_bay_is_400_here(system: System) -> None:
    answer = system.call("POST", "/v1/certificates", {"bay_uuid": "zzz", "csr": csr_of()})
    assert answer.status_code == 400
    assert detail(answer) == "Bay zzz could not be found."


def tampered() -> str:
    """A CSR whose signature is another one's."""
    first, second = csr_of(), csr_of()
    one, other = first.splitlines(), second.splitlines()
    return "\n".join([*one[:-3], *other[-3:]])


def of_version(number: int) -> str:
    """A CSR of a version that there is not; its one is 0."""
    der = base64.b64decode("".join(csr_of().splitlines()[1:-1]))
    der = der.replace(b"\x02\x01\x00", bytes([2, 1, number]), 1)
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("csr", "sentence"),
    [
        ("", "Value should have a minimum character requirement of 1"),
        ("x", "Received invalid csr: it is not a PEM certificate request."),
        ("x" * 20_000, "Value should have a maximum character requirement of 16384"),
        (None, "attribute csr. Value: 'None'. Mandatory field missing."),
        (7, "Wrong type. Expected '<class 'str'>'"),
        (csr_of(rsa.generate_private_key(65537, 1024)), "its RSA key has 1024 bits, allowed are 2048 to 8192"),
        (csr_of(ec.generate_private_key(ec.SECP224R1())), "its curve secp224r1 is not allowed"),
        (tampered(), "Received invalid csr: "),
        (csr_of().replace("CERTIFICATE REQUEST", "CERTIFICATE"), "it is not a PEM certificate request"),
        (of_version(5), "it is not a PEM certificate request"),
    ],
    ids=["empty", "text", "long", "null", "number", "rsa1024", "p224", "tampered", "certificate", "version"],
)
def test_csr_that_cannot_be_signed(system: System, csr: object, sentence: str) -> None:
    answer = system.call("POST", "/v1/certificates", {"bay_uuid": "any", "csr": csr})
    assert answer.status_code == 400
    assert sentence in detail(answer)


def test_which_bay(system: System) -> None:
    answer = system.call("POST", "/v1/certificates", {"csr": csr_of()})
    assert "attribute bay_uuid. Value: 'None'. Mandatory field missing." in detail(answer)
    answer = system.call("POST", "/v1/certificates", {"csr": csr_of(), "bay_uuid": "a", "cluster_uuid": "b"})
    assert "It differs from bay_uuid 'a'" in detail(answer)


async def test_bay_without_tls(system: System) -> None:
    bay = system.bay(baymodel_id=system.baymodel(tls_disabled=True, apiserver_port=8081)["uuid"])
    for field, word in (("bay_uuid", "Bay"), ("cluster_uuid", "Cluster")):
        answer = system.call("POST", "/v1/certificates", {field: bay["uuid"], "csr": csr_of()})
        assert answer.status_code == 400
        words = f"{word} {bay['uuid']} has no certificate authority, because its TLS is disabled."
        assert detail(answer) == words


async def test_refusal_of_the_authority(system: System) -> None:
    bay = system.bay()
    await authority_of(system, bay)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    answer = system.call("POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr})
    assert answer.status_code == 400
    assert detail(answer) == "Extension 'basicConstraints' not allowed"


async def test_a_signature_that_does_not_come_is_503_with_retry_after(system: System) -> None:
    """The authority hangs, since its keys are locked away; after ten seconds the gateway lets go."""
    bay = system.bay()
    await authority_of(system, bay)
    holder = await asyncpg.connect(system.dsn)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE authority_keys IN ACCESS EXCLUSIVE MODE")
            answer = await asyncio.to_thread(
                system.call, "POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr_of()}
            )
    finally:
        await holder.close()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["errors"][0]["code"] == "server"
