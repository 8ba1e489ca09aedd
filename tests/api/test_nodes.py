"""What the gateway answers to nodes by itself: shapes, strangers, and what it refuses before the cloud is asked.

No provisioner runs here; whole answers are in tests/e2e/test_node_certificates.py.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.api.harness import System, database, detail, running
from tests.api.test_certificates import authority_of
from tests.support.csrs import csr_of

STRANGER: Final = "No certificate: bay, server, role, secret and names do not belong together."
SECRET: Final = "s" * 64
CSR: Final = csr_of(name="k8s-minion-0")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A gateway that keeps a node waiting for two seconds only."""
    with (
        database() as dsn,
        running(dsn, tmp_path_factory.mktemp("quick"), JEROBOAM_TIME_SCALE="0.1") as made,
    ):
        yield made


def body(**other: object) -> dict[str, Any]:
    return {"server_id": str(uuid4()), "secret": SECRET, "role": "worker", "csr": CSR, **other}


def ask(system: System, bay: str, asked: object = None, **other: Any) -> Any:
    return system.call("POST", f"/v1/bays/{bay}/node-certificates", asked or body(), user=None, **other)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (body(server_id="k8s"), "attribute server_id. Value: 'k8s'. Value should match the pattern"),
        (body(role="minion"), "Value should be one of: master, worker"),
        (body(colour="red"), "Unknown attribute for argument node_certificate: colour"),
        (body(csr=None), "attribute csr. Value: 'None'. Mandatory field missing."),
        (body(csr="x"), "Received invalid csr: it is not a PEM certificate request."),
        (body(csr="x" * 20_000), "Value should have a maximum character requirement of 16384"),
        (body(csr=csr_of(ec.generate_private_key(ec.SECP224R1()))), "its curve secp224r1 is not allowed"),
        (body(secret="sesame"), "The secret must be a text of 16 to 255 characters."),
        (body(secret=["sesame" * 9]), "The secret must be a text of 16 to 255 characters."),
    ],
)
def test_bodies_that_are_refused(system: System, asked: dict[str, Any], sentence: str) -> None:
    answer = ask(system, str(uuid4()), asked)
    assert answer.status_code == 400
    assert sentence in detail(answer)
    assert "sesame" not in answer.text


def test_a_body_that_is_too_long(system: System) -> None:
    answer = ask(system, str(uuid4()), body(csr="x" * 70_000))
    assert answer.status_code == 413
    assert "more than 65536 bytes" in detail(answer)


def test_strangers_are_all_told_the_same(system: System) -> None:
    bare = system.bay(baymodel_id=system.baymodel(tls_disabled=True)["uuid"])
    for bay in (str(uuid4()), "k8s", bare["uuid"], bare["name"]):
        answer = ask(system, bay)
        assert (answer.status_code, detail(answer)) == (403, STRANGER)


async def test_a_refusal_is_in_the_audit_trail(system: System) -> None:
    bare = system.bay(baymodel_id=system.baymodel(tls_disabled=True)["uuid"])
    asked = body()
    assert ask(system, bare["uuid"], asked).status_code == 403
    lines = await system.sql("SELECT requester, detail FROM certificate_audit WHERE bay_id = $1", bare["uuid"])
    expected = (f"node:{asked['server_id']}", "A worker of this bay gets no certificates.")
    assert [tuple(line) for line in lines if line["requester"]] == [expected]
    log = (system.home / "api.log").read_text()
    assert asked["server_id"] in log
    assert SECRET not in log


async def test_one_question_is_one_row_whoever_asks_it_again(quick: System) -> None:
    """Nobody attests here: the node is kept waiting, asks again, and meets its own question."""
    bay = quick.bay()
    await authority_of(quick, bay)
    asked = body()
    answers = await asyncio.gather(*(asyncio.to_thread(ask, quick, bay["uuid"], asked) for _ in range(2)))
    answers.append(await asyncio.to_thread(ask, quick, bay["uuid"], asked))
    for answer in answers:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    # Two at once may both be the first; a later one meets the newest.
    count = "SELECT count(*) FROM attestations WHERE bay_id = $1 AND server_id = $2"
    ((rows,),) = await quick.sql(count, bay["uuid"], asked["server_id"])
    assert rows <= 2
    assert (await asyncio.to_thread(ask, quick, bay["uuid"], {**asked, "secret": "t" * 64})).status_code == 503
    assert await quick.sql(count, bay["uuid"], asked["server_id"]) == [(rows + 1,)]
    kept = await quick.sql("SELECT secret, csr FROM attestations WHERE bay_id = $1", bay["uuid"])
    assert all(SECRET.encode() not in row["secret"] for row in kept)
    profiles = await quick.sql("SELECT DISTINCT profile FROM sign_requests WHERE bay_id = $1", bay["uuid"])
    assert ("node:node",) in [tuple(row) for row in profiles]


async def test_a_bay_has_so_many_undecided_questions_and_no_more(quick: System) -> None:
    bay = quick.bay()
    await authority_of(quick, bay)
    await quick.sql(
        "INSERT INTO attestations (id, bay_id, server_id, role, digest, csr, csr_digest, expires_at) "
        "SELECT gen_random_uuid(), $1, n::text, 'worker', n::text, '', '', now() + interval '1 minute' "
        "FROM generate_series(1, 50) AS n",
        bay["uuid"],
    )
    answer = await asyncio.to_thread(ask, quick, bay["uuid"])
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many nodes" in detail(answer)
    await quick.sql("UPDATE attestations SET expires_at = now() WHERE bay_id = $1", bay["uuid"])
    assert (await asyncio.to_thread(ask, quick, bay["uuid"])).status_code == 503


def test_without_a_key_to_seal_with(tmp_path: Path) -> None:
    with database() as dsn, running(dsn, tmp_path, JEROBOAM_SEAL_PUBLIC_KEY_FILE="") as system:
        answer = ask(system, system.bay()["uuid"])
        assert answer.status_code == 503
        assert "JEROBOAM_SEAL_PUBLIC_KEY_FILE is not set" in detail(answer)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "X-Jeroboam-Certificate is missing."),
        ({"X-Jeroboam-Certificate": "%"}, "X-Jeroboam-Certificate is not base64."),
        ({"X-Jeroboam-Certificate": base64.b64encode(b"x").decode()}, "is not the base64 of a PEM certificate."),
    ],
)
def test_who_does_not_prove_anything_is_a_stranger(system: System, headers: dict[str, str], sentence: str) -> None:
    renewal = body(secret=None)
    for answer in (
        system.call("GET", "/v1/nodes/self", user=None, headers=headers),
        system.call("GET", "/nodes/self/", user=None, headers=headers),
        system.call("PUT", "/v1/nodes/self", {"healthy": True}, user=None, headers=headers),
        ask(system, str(uuid4()), renewal, headers=headers),
    ):
        assert answer.status_code == 401
        assert sentence in detail(answer)
        assert answer.headers["WWW-Authenticate"] == "Jeroboam-Node"


async def test_a_certificate_of_a_person_is_no_node_s(system: System) -> None:
    """Of the bay's own authority, with a right signature: it names no node."""
    bay = system.bay()
    await authority_of(system, bay)
    key = ec.generate_private_key(ec.SECP256R1())
    asked = {"bay_uuid": bay["uuid"], "csr": csr_of(key, "system:node:k8s-minion-0")}
    pem = system.call("POST", "/v1/certificates", asked).json()["pem"]
    answer = system.call("GET", "/v1/nodes/self", user=None, headers=proof(key, pem))
    assert answer.status_code == 401
    assert "not one that a bay's authority issued to a node" in detail(answer)


def proof(
    key: ec.EllipticCurvePrivateKey,
    pem: str,
    method: str = "GET",
    body: object = None,
    path: str = "/v1/nodes/self",
) -> dict[str, str]:
    """The headers for a call by a node."""
    at = int(time.time())
    digest = hashlib.sha256(b"" if body is None else json.dumps(body).encode()).hexdigest()
    signature = key.sign(f"{method}\n{path}\n{at}\n{digest}\n".encode(), ec.ECDSA(SHA256()))
    return {
        "X-Jeroboam-Certificate": base64.b64encode(pem.encode()).decode(),
        "X-Jeroboam-Time": str(at),
        "X-Jeroboam-Signature": base64.b64encode(signature).decode(),
    }


def test_a_key_that_cannot_sign_as_nodes_do(system: System) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = request.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM).decode()
    answer = ask(system, str(uuid4()), body(csr=csr))
    assert (answer.status_code, detail(answer)) == (
        400,
        "Received invalid csr: a node's key must be RSA or EC.",
    )
