"""Certificates of a bay, signed by a real authority process (contract §1.14)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.contracts.http.certificates import MOST_HOURS
from tests.api.harness import System, database, detail, running
from tests.support.csrs import AUTHORITY, WITH_SHA1, addresses, csr_of, hosts


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
        (system.call("POST", "/v1/certificates?profile=reader", body, user="reader"), "certificate:create_reader"),
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


MANY = [f"host-{number}" for number in range(101)]


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
        (WITH_SHA1, "it is signed with a weak hash, use SHA-256, SHA-384 or SHA-512"),
        (csr_of(extensions=[AUTHORITY]), "Extension 'basicConstraints' not allowed"),
        (csr_of(extensions=[hosts("a.example.org", "*.example.org")]), "the wildcard '*.example.org' is not allowed"),
        (csr_of(name="*.example.org"), "the wildcard '*.example.org' is not allowed"),
        (csr_of(extensions=[addresses("10.0.0.0/24")]), "10.0.0.0/24 in its subjectAltName is a network"),
        (csr_of(extensions=[hosts(*MANY)]), "its subjectAltName has 101 names, allowed are 100"),
    ],
    ids=[
        *("empty", "text", "long", "null", "number", "rsa1024", "p224", "tampered", "certificate", "version"),
        *("sha1", "authority", "wildcard", "wildcard-name", "network", "names"),
    ],
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


def test_a_body_that_no_csr_fills_is_not_read(system: System) -> None:
    body = {"bay_uuid": "any", "csr": "x" * 40_000}
    answer = system.call("POST", "/v1/certificates", body)
    assert answer.status_code == 413
    assert detail(answer) == "The body has more than 32768 bytes, which is the most that is taken."

    def unsaid() -> Iterator[bytes]:
        yield from (json.dumps(body).encode(), b" " * 1_000_000)

    token = {"X-Auth-Token": system.token("demo")}
    answer = httpx.post(f"{system.api_url}/v1/certificates", content=unsaid(), headers=token)
    assert answer.status_code == 413


async def test_only_the_bay_s_own_addresses(system: System) -> None:
    bay = system.bay(labels={"service_cluster_ip_range": "10.96.0.0/16"})
    await authority_of(system, bay)
    await system.sql(
        "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
        "VALUES ($1::uuid, 's', 'master', 0, 'm', '172.24.4.77', '10.0.0.9')",
        bay["uuid"],
    )
    ask = {"bay_uuid": bay["uuid"]}
    for own in ("127.0.0.1", "::1", "172.24.4.77", "10.0.0.200", "10.96.0.1"):
        answer = system.call("POST", "/v1/certificates", {**ask, "csr": csr_of(extensions=[addresses(own)])})
        assert answer.status_code == 201, (own, answer.text)
    for other, csr in (
        ("172.24.4.78", csr_of(extensions=[addresses("127.0.0.1", "172.24.4.78")])),
        ("10.254.0.1", csr_of(extensions=[addresses("10.254.0.1")])),
        ("8.8.8.8", csr_of(extensions=[hosts("8.8.8.8")])),
        ("8.8.4.4", csr_of(name="8.8.4.4")),
    ):
        answer = system.call("POST", "/v1/certificates", {**ask, "csr": csr})
        assert answer.status_code == 400
        assert detail(answer).startswith(f"Received invalid csr: {other} in its subject or subjectAltName is not this")


def lifetime(pem: str) -> timedelta:
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc - datetime.now(UTC)


async def test_a_wish_for_a_short_life(system: System) -> None:
    bay = system.bay()
    await authority_of(system, bay)
    body = {"bay_uuid": bay["uuid"], "csr": csr_of()}
    plain = system.call("POST", "/v1/certificates", body).json()["pem"]
    short, shorter = (system.call("POST", f"/v1/certificates?hours={hours}", body).json()["pem"] for hours in (12, 2))
    assert timedelta(hours=11) < lifetime(short) <= timedelta(hours=12)
    assert timedelta(hours=1) < lifetime(shorter) <= timedelta(hours=2)
    assert lifetime(plain) > timedelta(days=100)
    assert system.call("POST", "/v1/certificates?hours=12", body).json()["pem"] == short
    assert system.call("POST", "/v1/certificates?profile=owner", body).json()["pem"] == plain
    for hours in ("0", "-1", "1.5", "x", "1000000", "²", str(MOST_HOURS + 1)):
        answer = system.call("POST", f"/v1/certificates?hours={hours}", body)
        assert answer.status_code == 400
        assert f"attribute hours. Value: '{hours}'." in detail(answer)
    most = system.call("POST", f"/v1/certificates?hours={MOST_HOURS}", body)
    assert detail(most).endswith("not for 24855 days, 3:00:00.")  # the authority's word, who gives less


def with_groups(system: System) -> dict[str, Any]:
    """A bay whose software heeds the groups in certificates."""
    model = system.baymodel(image_id="ubuntu-24.04", docker_volume_size=None, flavor_id="m1.medium")
    return system.bay(baymodel_id=model["uuid"])


async def test_a_wish_for_a_profile(system: System) -> None:
    bay = with_groups(system)
    await authority_of(system, bay)
    key = ec.generate_private_key(ec.SECP256R1())
    body = {"bay_uuid": bay["uuid"], "csr": empty_csr(key)}
    subjects = {}
    for profile in ("admin", "reader"):
        answer = system.call("POST", f"/v1/certificates?profile={profile}", body)
        assert answer.status_code == 201, answer.text
        subjects[profile] = x509.load_pem_x509_certificate(answer.json()["pem"].encode()).subject.rfc4514_string()
    assert "O=system:masters" in subjects["admin"]
    assert "O=jeroboam:readers" in subjects["reader"]
    for profile in ("scaler", "node:kubelet", "Owner"):
        answer = system.call("POST", f"/v1/certificates?profile={profile}", body)
        assert answer.status_code == 400
        assert detail(answer).endswith("Value should be one of: owner, admin, reader")
    plain = system.bay()
    await authority_of(system, plain)
    old = system.call("POST", "/v1/certificates?profile=reader", {**body, "bay_uuid": plain["uuid"]})
    assert old.status_code == 400
    assert detail(old).startswith("This bay's software (k8s_fedora_atomic) gives all rights to every certificate")
    assert await system.sql("SELECT 1 FROM sign_requests WHERE bay_id = $1::uuid", plain["uuid"]) == []  # the gate's
    for query in ("profil=admin", "profile=admin&profile=owner"):
        assert system.call("POST", f"/v1/certificates?{query}", body).status_code == 400


def empty_csr(key: ec.EllipticCurvePrivateKey) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def test_an_operator_may_let_others_have_reader_certificates(tmp_path: Path) -> None:
    """By default whoever made the bay and administrators may, as for every other certificate."""
    (tmp_path / "policy.json").write_text(json.dumps({"certificate:create_reader": "rule:admin_or_project_reader"}))
    with database() as dsn, running(dsn, tmp_path, JEROBOAM_POLICY_FILE=str(tmp_path / "policy.json")) as system:
        bay = with_groups(system)
        asyncio.run(authority_of(system, bay))
        body = {"bay_uuid": bay["uuid"], "csr": empty_csr(ec.generate_private_key(ec.SECP256R1()))}
        assert system.call("POST", "/v1/certificates?profile=reader", body, user="reader").status_code == 201
        for query in ("", "?profile=admin", "?profile=owner"):
            answer = system.call("POST", f"/v1/certificates{query}", body, user="reader")
            assert detail(answer) == "Policy doesn't allow certificate:create to be performed."


async def test_a_bay_that_is_deleted_meanwhile_is_missing_and_nobody_else_s_matter(system: System) -> None:
    """Between the look at the bay and the commit of the request: whoever asks for it, and for others, at once."""
    going, staying = system.bay(), system.bay()
    for bay in (going, staying):
        await authority_of(system, bay)
    deleter = await asyncpg.connect(system.dsn)
    try:
        deletion = deleter.transaction()
        await deletion.start()
        await deleter.execute("DELETE FROM bays WHERE id = $1::uuid", going["uuid"])
        first = asyncio.create_task(asked(system, going))
        await until_something_waits_for_a_lock(system)
        others = [asyncio.create_task(asked(system, bay)) for bay in (going, staying)]
        await asyncio.sleep(0)
        await deletion.commit()
        answers = [await one for one in (first, *others)]
    finally:
        await deleter.close()
    assert [one.status_code for one in answers] == [400, 400, 201], [one.text for one in answers]
    assert detail(answers[0]) == "The bay was deleted while its certificate was waited for."


async def asked(system: System, bay: dict[str, Any]) -> httpx.Response:
    """The answer to a good CSR, beside others."""
    return await asyncio.to_thread(system.call, "POST", "/v1/certificates", {"bay_uuid": bay["uuid"], "csr": csr_of()})


async def until_something_waits_for_a_lock(system: System) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await system.sql(waiting):
            await asyncio.sleep(0.02)


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
