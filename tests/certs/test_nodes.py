"""Nodes' certificates: signed only once attested, by profile, with what the masters share encrypted to each of them."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from services.certs.key_store import KeyGone, Keys
from services.certs.nodes import NodeCertificates
from shared.db.engine import make_engine
from shared.db.repositories import attestations, authorities, sign_requests
from shared.db.repositories.attestations import Outcome
from shared.db.repositories.authorities import SERVICE_ACCOUNT, Authority, StoredKey
from shared.domain.node_profiles import PROFILES
from shared.drivers.contract import Driver, Role
from shared.drivers.k8s_fedora_atomic.driver import K8sFedoraAtomic
from shared.pki_client import verify_chain
from tests.certs.requests import csr
from tests.certs.world import VALIDITY, World, as_role, database_keys

WORKER_PROFILES = ("node",)
NAMES = x509.SubjectAlternativeName([x509.DNSName("k8s-master-0"), x509.DNSName("kubernetes")])
BAD_SUBJECT = [(NameOID.COMMON_NAME, "kubernetes-admin"), (NameOID.ORGANIZATION_NAME, "system:masters")]
NodeKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA = rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True)
class WithoutServiceAccounts(Keys):
    """Somebody deleted that key from Barbican."""

    @override
    async def open(self, stored: StoredKey, authority: Authority) -> bytes:
        if authority.kind == SERVICE_ACCOUNT:
            raise KeyGone("The key is not in Barbican any more.")
        return await super().open(stored, authority)


class Everything(K8sFedoraAtomic):
    """A driver whose masters have every certificate there is and share the service-account key."""

    certificates: ClassVar[Mapping[Role, tuple[str, ...]]] = {"master": tuple(PROFILES), "worker": WORKER_PROFILES}
    shares_service_account: ClassVar[bool] = True


@pytest.fixture
async def bay(world: World) -> World:
    """A bay of such a driver, with its authorities."""
    world.drivers = driver_of
    await world.make_authorities()
    await world.rows("TRUNCATE certificate_audit")
    return world


def driver_of(_name: str) -> Driver:
    return Everything()


def nodes(bay: World) -> NodeCertificates:
    return NodeCertificates(bay.signer())


async def ask(
    bay: World,
    request: str,
    *,
    role: str = "master",
    profiles: Sequence[str] = tuple(PROFILES),
    signed: str | None = None,
) -> UUID:
    """What the gateway writes; `signed` is the CSR of the sign requests, if it is not the attested one."""
    attestation_id, server_id = uuid4(), str(uuid4())
    gateway = make_engine(as_role(bay.dsn, "jb_api"), pool_size=1)
    async with gateway.begin() as conn:
        await attestations.add(
            conn,
            id=attestation_id,
            bay_id=bay.bay_id,
            server_id=server_id,
            role=role,
            digest="a",
            csr=request,
            secret=b"sealed",
            serial=None,
        )
        for name in profiles:
            await sign_requests.add(
                conn,
                bay_id=bay.bay_id,
                authority_kind=PROFILES[name].authority,
                requester=attestations.requester_of(server_id),
                csr=signed or request,
                profile=f"node:{name}",
                patience=timedelta(minutes=10),
                attestation_id=attestation_id,
            )
    await gateway.dispose()
    return attestation_id


async def approve(bay: World, attestation_id: UUID, name: str = "k8s-master-0") -> None:
    """What the provisioner writes, with its role."""
    provisioner = make_engine(as_role(bay.dsn, "jb_provisioner"), pool_size=1)
    async with provisioner.begin() as conn:
        attestation = await attestations.get(conn, attestation_id)
        assert attestation is not None
        assert await attestations.approve(conn, attestation, name)
    await provisioner.dispose()


async def outcome(bay: World, attestation_id: UUID) -> Outcome:
    gateway = make_engine(as_role(bay.dsn, "jb_api"), pool_size=1)
    async with gateway.connect() as conn:
        found = await attestations.outcome(conn, attestation_id)
    await gateway.dispose()
    assert found is not None
    return found


async def test_nothing_is_signed_before_it_is_attested(bay: World) -> None:
    asked = await ask(bay, csr((NAMES, False), key=RSA))
    await nodes(bay).decide(asked)
    await nodes(bay).sweep(timedelta(0))
    (one, *_) = await bay.column("SELECT id FROM sign_requests")
    await bay.signer().decide(UUID(str(one)))  # even if a message says so
    await bay.signer().sweep()
    assert await bay.column("SELECT count(*) FROM certificates") == [0]
    assert set(await bay.column("SELECT state FROM sign_requests")) == {"pending"}

    await approve(bay, asked)
    await nodes(bay).sweep(timedelta(0))
    assert (await outcome(bay, asked)).finished


async def test_every_profile_has_its_own_subject_usages_and_authority(bay: World) -> None:
    asked = await ask(bay, csr((NAMES, False), names=BAD_SUBJECT, key=RSA))
    await approve(bay, asked)
    await nodes(bay).decide(asked)

    found = (await outcome(bay, asked)).certificates
    assert set(found) == {f"node:{name}" for name in PROFILES}
    async with bay.engine.connect() as conn:
        issuers = await authorities.current_all(conn, bay.bay_id)
    for name, profile in PROFILES.items():
        pem = found[f"node:{name}"]
        leaf = x509.load_pem_x509_certificate(pem.encode())
        verify_chain(pem, issuers[profile.authority].certificate)
        common_name = profile.common_name.format(node="k8s-master-0")
        organization = f",O={profile.organization}" if profile.organization else ""
        assert leaf.subject.rfc4514_string() == f"CN={common_name}{organization}"
        purposes = list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert (ExtendedKeyUsageOID.SERVER_AUTH in purposes, ExtendedKeyUsageOID.CLIENT_AUTH in purposes) == (
            profile.server,
            profile.client,
        )
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
        names = [one.value for one in leaf.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
        assert names == ([NAMES] if profile.server else [])
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=366)  # a day ago, for late clocks


async def test_what_masters_share_opens_with_openssl_and_the_node_s_key_alone(bay: World, tmp_path: Path) -> None:
    keys: list[NodeKey] = [RSA, rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]
    opened = []
    for number, key in enumerate(keys):
        asked = await ask(bay, csr((NAMES, False), key=key))
        await approve(bay, asked, f"k8s-master-{number}")
        await nodes(bay).decide(asked)
        found = await outcome(bay, asked)
        assert found.shared is not None
        assert decrypted(tmp_path, found.shared, keys[number - 1], found.certificates["node:node"]) is None
        opened.append(decrypted(tmp_path, found.shared, key, found.certificates["node:node"]))
    assert opened[0] == opened[1] == opened[2]
    assert opened[0] is not None
    (pem,) = json.loads(opened[0]).values()
    assert set(json.loads(opened[0])) == {"service-account.key"}

    private = load_pem_private_key(pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    async with bay.engine.connect() as conn:
        public = await authorities.current(conn, bay.bay_id, SERVICE_ACCOUNT)
    assert public is not None
    shown = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert public.certificate == shown
    stored = await bay.column("SELECT encode(sealed, 'escape') FROM authority_keys")
    assert len(stored) == 4
    assert all("RSA" not in str(one) for one in stored)


def decrypted(folder: Path, cms: str, key: NodeKey, certificate: str) -> bytes | None:
    """What `openssl cms -decrypt` makes of it, as the node agent calls it."""
    (folder / "cms").write_text(cms)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "crt").write_text(certificate)
    command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", "cms", "-inkey", "key", "-out", "opened"]
    done = subprocess.run([*command, "-recip", "crt"], cwd=folder, capture_output=True, check=False)
    text = (folder / "opened").read_bytes() if done.returncode == 0 else b""
    return text if text.startswith(b"{") else None  # a wrong key may go undetected and give noise


async def test_a_master_whose_service_account_key_is_gone_is_refused(bay: World) -> None:
    keys = database_keys()
    bay.keys = WithoutServiceAccounts(keys.chosen, keys.database, keys.barbican)
    asked = await ask(bay, csr((NAMES, False)))
    await approve(bay, asked)
    await nodes(bay).decide(asked)

    found = await outcome(bay, asked)
    assert (found.state, found.reason) == ("refused", "The key is not in Barbican any more.")


async def test_nodes_whose_keys_cannot_be_opened_are_told_together_and_in_time_tried_once_an_hour(
    bay: World, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        await approve(bay, await ask(bay, csr((NAMES, False))), f"k8s-master-{number}")
    wrong = NodeCertificates(bay.signer(base64.b64encode(os.urandom(32)).decode()))
    with caplog.at_level(logging.WARNING):
        await wrong.sweep(timedelta(0))

    (told,) = caplog.records
    assert told.exc_info is None
    assert "2 attestations" in told.getMessage()
    await bay.rows("UPDATE attestations SET created_at = now() - interval '61 minutes'")
    await nodes(bay).sweep(timedelta(0))
    assert set(await bay.column("SELECT finished_at IS NOT NULL FROM attestations")) == {False}
    await nodes(bay).sweep(timedelta(0), thorough=True)
    assert set(await bay.column("SELECT finished_at IS NOT NULL FROM attestations")) == {True}


async def test_a_worker_shares_nothing(bay: World) -> None:
    asked = await ask(bay, csr((NAMES, False)), role="worker", profiles=WORKER_PROFILES)
    await approve(bay, asked)
    await nodes(bay).decide(asked)
    found = await outcome(bay, asked)
    assert (found.finished, found.shared, list(found.certificates)) == (True, None, ["node:node"])
    leaf = x509.load_pem_x509_certificate(found.certificates["node:node"].encode())
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, False)


@pytest.mark.parametrize(
    ("role", "profiles", "key", "signed", "reason"),
    [
        ("worker", ("node", "admin"), RSA, None, "A worker of this bay does not get the certificate 'admin'."),
        ("master", ("node",), RSA, csr((NAMES, False)), "not the one that was attested"),
    ],
    ids=["worker as admin", "another CSR"],
)
async def test_what_was_not_attested_is_refused(
    bay: World,
    role: str,
    profiles: tuple[str, ...],
    key: rsa.RSAPrivateKey,
    signed: str | None,
    reason: str,
) -> None:
    asked = await ask(bay, csr((NAMES, False), key=key), role=role, profiles=profiles, signed=signed)
    await approve(bay, asked)
    await nodes(bay).decide(asked)
    found = await outcome(bay, asked)
    assert (found.state, found.finished) == ("refused", False)
    assert reason in (found.reason or "")
    assert await bay.column("SELECT action FROM certificate_audit ORDER BY seq DESC LIMIT 1") == ["node_refused"]


async def test_a_node_s_profile_without_an_attestation_is_refused(bay: World) -> None:
    request = await bay.ask(csr(), profile="node:admin")
    await bay.signer().decide(request)
    assert "profile 'node:admin' is not supported" in ((await bay.outcome(request)).reason or "")
    key = await bay.ask(csr(), kind=SERVICE_ACCOUNT)
    await bay.signer().decide(key)
    assert "no service_account certificate authority" in ((await bay.outcome(key)).reason or "")


async def test_the_same_csr_again_gets_the_same_certificates_and_another_gets_none(bay: World) -> None:
    request = csr((NAMES, False), key=RSA)
    first = await ask(bay, request)
    await approve(bay, first)
    await nodes(bay).decide(first)
    await bay.rows("UPDATE attestations SET server_id = 'one'")
    await bay.rows("UPDATE sign_requests SET requester = 'node:one'")
    second, other = await ask(bay, request), await ask(bay, csr((NAMES, False)))
    await bay.rows("UPDATE attestations SET server_id = 'one'")
    await bay.rows("UPDATE sign_requests SET requester = 'node:one'")
    await approve(bay, second)
    await nodes(bay).decide(second)
    assert (await outcome(bay, second)).certificates == (await outcome(bay, first)).certificates

    provisioner = make_engine(as_role(bay.dsn, "jb_provisioner"), pool_size=1)
    async with provisioner.begin() as conn:
        attestation = await attestations.get(conn, other)
        assert attestation is not None
        assert not await attestations.approve(conn, attestation, "k8s-master-0")
    await provisioner.dispose()


async def test_what_was_attested_and_not_signed_in_time_may_be_asked_anew(bay: World) -> None:
    asked = await ask(bay, csr((NAMES, False), key=RSA))
    await approve(bay, asked)
    await bay.rows("UPDATE sign_requests SET expires_at = now()")
    await nodes(bay).sweep(timedelta(0))
    assert (await outcome(bay, asked)).state == "expired"
    assert await bay.column("SELECT count(*) FROM certificates") == [0]


async def test_a_node_s_certificate_lives_as_long_as_the_setting_says_and_no_longer_than_its_authority(
    bay: World,
) -> None:
    await bay.rows("UPDATE authorities SET not_after = now() + interval '9 days'")
    asked = await ask(bay, csr((NAMES, False)), role="worker", profiles=WORKER_PROFILES)
    await approve(bay, asked)
    await nodes(bay).decide(asked)
    pem = (await outcome(bay, asked)).certificates["node:node"]
    leaf = x509.load_pem_x509_certificate(pem.encode())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=11) < VALIDITY
