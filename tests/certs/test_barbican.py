"""Authority keys in Barbican: the simulated one, and a real one where JEROBOAM_TEST_CLOUD names a cloud."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import load_pem_x509_certificate
from pydantic import SecretStr, ValidationError

from services.certs.authority import new_authority_key
from services.certs.envelope import Envelope, EnvelopeError, MasterKey
from services.certs.handlers import sign_requested
from services.certs.key_store import BarbicanKeys, KeyOwner, Keys, all_names, secret_name
from services.certs.master_key import EnvelopeSource
from services.certs.settings import CertsSettings
from shared.contracts.certificate import CertificateSignRequested
from shared.db.repositories import authorities
from shared.db.repositories.authorities import KINDS, SERVICE_ACCOUNT
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.openstack.auth import Credential
from shared.openstack.barbican import BarbicanClient
from shared.openstack.cloud import Cloud, CloudConfig
from shared.pki_client import KeyKind, verify_chain
from tests.certs.requests import csr
from tests.certs.test_nodes import Everything
from tests.certs.world import MASTER_KEY, World, database_place
from tests.openstack.conftest import LOOPBACK, MakeCloud, cloudsim_url, make_cloud, sim  # noqa: F401
from tests.openstack.sim import Sim
from tests.support.realcloud import NoCloud, real_cloud

ALL = (*KINDS, SERVICE_ACCOUNT)


async def no_guard() -> None:
    """The lease is ours."""


@dataclass
class Vault:
    """A Barbican, and the hand of the tests in it."""

    client: BarbicanClient

    def into(self, world: World) -> None:
        """New keys of this world go here; older ones are in its database."""
        place = BarbicanKeys(self.client)
        world.keys = Keys(place, database_place(MASTER_KEY, self.client), place)

    async def count(self, bay_id: UUID) -> list[int]:
        """How many secrets the bay has of each kind."""
        return [len(await self.client.named(secret_name(bay_id, kind, 1))) for kind in ALL]

    async def empty(self, bay_id: UUID) -> None:
        """Remove what a failing test left."""
        await BarbicanKeys(self.client).destroy([], all_names(bay_id, (1, 2)), no_guard)


@pytest.fixture
async def simulated(make_cloud: MakeCloud, sim: Sim) -> Vault:  # noqa: F811
    return Vault(make_cloud(sim.identity).for_service().barbican)


@pytest.fixture(params=["cloudsim", pytest.param("real", marks=pytest.mark.real_cloud)])
async def vault(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Vault]:
    """Each kind of Barbican; what the bay had in it goes at the end."""
    if request.param == "cloudsim":
        url = request.getfixturevalue("cloudsim_url")
        credential = Credential(url=f"{url}/identity/v3", username="jeroboam", password=SecretStr("jeroboam"))
        cloud = Cloud(CloudConfig(credential), LOOPBACK)
    else:
        try:
            cloud = real_cloud().open()
        except NoCloud as missing:
            pytest.skip(f"NOT RUN: certs on a real Barbican ({missing})")
    found = Vault(cloud.for_service().barbican)
    found.into(world)
    yield found
    await found.empty(world.bay_id)
    await cloud.close()


async def test_a_secret_is_stored_found_read_and_deleted(vault: Vault) -> None:
    name, payload = f"jeroboam-test-{uuid4()}", b"\x00not text\xff"
    first, second = await vault.client.store(name, payload), await vault.client.store(name, b"another", "private")
    try:
        found = await vault.client.named(name)
        assert {one.ref for one in found} == {first, second}
        assert found == sorted(found, key=lambda one: (one.created, one.id))
        assert await vault.client.named(name[:-1]) == []
        assert await vault.client.payload(first) == payload
        elsewhere = f"https://elsewhere.example.org/v1/secrets/{first.rpartition('/')[2]}"
        assert await vault.client.payload(elsewhere) == payload  # only the id of an address counts
    finally:
        assert [await vault.client.delete(ref) for ref in (first, second)] == [True, True]
    assert await vault.client.delete(first) is False
    assert await vault.client.payload(first) is None


async def test_a_bay_lives_with_its_keys_in_barbican(vault: Vault, world: World) -> None:
    world.drivers = lambda _name: Everything()
    await world.make_authorities()

    assert await world.rows("SELECT DISTINCT key_id, wrapped_key, sealed FROM authority_keys") == [
        ("barbican", None, None)
    ]
    assert await vault.count(world.bay_id) == [1, 1, 1, 1]
    await world.make_authorities()
    assert await vault.count(world.bay_id) == [1, 1, 1, 1]

    request = await world.ask(csr())
    await world.signer().decide(request)
    async with world.engine.connect() as conn:
        authority = await authorities.current(conn, world.bay_id, "kubernetes")
    assert authority is not None
    verify_chain(await world.signed(request), authority.certificate)

    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    assert await vault.count(world.bay_id) == [0, 0, 0, 0]
    assert await world.column("SELECT count(*) FROM authority_keys") == [0]


async def test_the_keys_of_a_killed_create_are_taken_up(vault: Vault, world: World) -> None:
    keys = BarbicanKeys(vault.client)
    killed = {kind: await keys.keep(KeyOwner(uuid4(), world.bay_id, kind, 1), _new_key, no_guard) for kind in KINDS}
    await world.make_authorities()

    assert await vault.count(world.bay_id) == [1, 1, 1, 0]
    async with world.engine.connect() as conn:
        made = await authorities.current_all(conn, world.bay_id)
    for kind, kept in killed.items():
        certificate = load_pem_x509_certificate(made[kind].certificate.encode())
        assert certificate.public_key() == load_der_private_key(kept.key, None).public_key()


async def test_of_two_secrets_with_one_name_the_oldest_stays(vault: Vault, world: World) -> None:
    name = secret_name(world.bay_id, "etcd", 1)
    await vault.client.store(name, await _new_key(), "private")
    await vault.client.store(name, await _new_key(), "private")
    oldest = (await vault.client.named(name))[0]
    await world.make_authorities()

    assert [one.ref for one in await vault.client.named(name)] == [oldest.ref]
    query = "SELECT secret_ref FROM authority_keys JOIN authorities a ON a.id = authority_id WHERE a.kind = 'etcd'"
    assert await world.column(query) == [oldest.ref]


async def test_the_keys_of_a_bay_that_never_got_its_rows_go_with_it(vault: Vault, world: World) -> None:
    await BarbicanKeys(vault.client).keep(KeyOwner(uuid4(), world.bay_id, "etcd", 1), _new_key, no_guard)
    await world.run_operation(OperationKind.DELETE, "delete.authorities")

    assert await vault.count(world.bay_id) == [0, 0, 0, 0]


@pytest.mark.parametrize("planted", [b"not a key", None], ids=["rubbish", "a key"])
async def test_what_another_member_put_under_our_name_is_no_key(
    simulated: Vault,
    world: World,
    sim: Sim,  # noqa: F811
    planted: bytes | None,
) -> None:
    simulated.into(world)
    name = secret_name(world.bay_id, "etcd", 1)
    foreign = await _plant(sim, name, planted or await _new_key())
    await world.make_authorities()

    (own,) = await simulated.client.own(name)
    query = "SELECT secret_ref FROM authority_keys JOIN authorities a ON a.id = authority_id WHERE a.kind = 'etcd'"
    assert await world.column(query) == [own.ref]
    assert own.ref != foreign
    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    assert [one.ref for one in await simulated.client.named(name)] == [foreign]


async def test_a_404_that_is_not_barbicans_does_not_mean_that_a_key_is_gone(
    simulated: Vault,
    world: World,
    sim: Sim,  # noqa: F811
) -> None:
    simulated.into(world)
    await world.make_authorities()
    ref = (await simulated.client.own(secret_name(world.bay_id, "etcd", 1)))[0].ref
    await sim.fault(kind="status", service="key-manager", status=404, message="404 page not found", count=2)
    for call in (simulated.client.payload, simulated.client.delete):
        with pytest.raises(CloudError) as caught:
            await call(ref)
        assert caught.value.retryable
    assert await simulated.client.payload(ref) is not None


async def test_keys_from_before_stay_in_the_database_and_go_with_the_bay(simulated: Vault, world: World) -> None:
    await world.make_authorities()
    await world.rows("DELETE FROM authorities WHERE kind = 'etcd'")
    simulated.into(world)
    await world.make_authorities()

    assert await simulated.count(world.bay_id) == [0, 1, 0, 0]
    old, new = await world.ask(csr()), await world.ask(csr(), kind="etcd")
    for request in (old, new):
        await world.signer().decide(request)
        await world.signed(request)
    world.keys = Keys(database_place(MASTER_KEY, simulated.client), world.keys.database, world.keys.barbican)  # type: ignore[union-attr]
    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    assert await simulated.count(world.bay_id) == [0, 0, 0, 0]


async def test_an_answer_that_was_lost_leaves_one_secret(simulated: Vault, world: World, sim: Sim) -> None:  # noqa: F811
    simulated.into(world)
    await sim.fault(kind="answer_lost", service="key-manager", method="POST")
    await world.run_operation(OperationKind.CREATE, "create.authorities", ends=False)
    assert sum(await simulated.count(world.bay_id)) == 1
    await world.make_authorities()

    assert await simulated.count(world.bay_id) == [1, 1, 1, 0]
    assert await sim.count("key-manager", "POST") == 3


async def test_while_barbican_is_away_steps_and_signatures_wait(simulated: Vault, world: World, sim: Sim) -> None:  # noqa: F811
    simulated.into(world)
    await sim.fault(kind="status", service="key-manager", status=503, count=1)
    await world.run_operation(OperationKind.CREATE, "create.authorities", ends=False)
    await world.make_authorities()
    await sim.fault(kind="status", service="key-manager", status=503, count=1)
    request, signer = await world.ask(csr()), world.signer()
    assert await signer.sweep() == 1
    assert (await world.outcome(request)).state == "pending"

    await signer.sweep()
    await world.signed(request)


async def test_a_message_that_comes_while_barbican_is_away_is_left_to_the_sweep(
    simulated: Vault,
    world: World,
    sim: Sim,  # noqa: F811
) -> None:
    simulated.into(world)
    await world.make_authorities()
    request = await world.ask(csr())
    await sim.fault(kind="status", service="key-manager", status=503, count=1)
    message = CertificateSignRequested(bay_id=world.bay_id, sign_request_id=request, reply_to="nobody")
    await sign_requested(world.deps(), message)  # raises nothing: no dead letter
    assert (await world.outcome(request)).state == "pending"

    await world.signer().sweep()
    await world.signed(request)


async def test_a_key_that_somebody_removed_is_a_refusal_with_its_reason(simulated: Vault, world: World) -> None:
    simulated.into(world)
    await world.make_authorities()
    await simulated.empty(world.bay_id)
    request = await world.ask(csr())
    await world.signer().decide(request)

    outcome = await world.outcome(request)
    assert outcome.state == "refused"
    assert outcome.reason == "The key of the bay's kubernetes certificate authority is not in Barbican any more."


async def test_an_opened_key_is_kept_in_memory(simulated: Vault, world: World, sim: Sim) -> None:  # noqa: F811
    simulated.into(world)
    await world.make_authorities()
    await sim.forget()
    signer = world.signer()
    for requester in ("user-1", "user-2"):
        request = await world.ask(csr(), requester=requester)
        await signer.decide(request)
        await world.signed(request)

    assert await sim.count("key-manager", "GET", "/payload") == 1


async def test_no_key_is_logged_or_shown(
    simulated: Vault, world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = await BarbicanKeys(simulated.client).keep(KeyOwner(uuid4(), world.bay_id, "etcd", 1), _new_key, no_guard)
    shown = repr(kept) + caplog.text + "".join(capfd.readouterr())

    assert repr(kept.key)[2:-1] not in shown
    assert secret_name(world.bay_id, "etcd", 1).encode() not in kept.key
    assert "key=" not in repr(kept)


async def _new_key() -> bytes:
    return new_authority_key(KeyKind.EC_P256)


@pytest.mark.parametrize("form", ["bytes", "text"])
async def test_the_master_key_may_lie_in_barbican(simulated: Vault, form: str) -> None:
    secret = os.urandom(32)
    ref = await simulated.client.store("jeroboam-master-key", secret if form == "bytes" else b64encode(secret) + b"\n")
    source = EnvelopeSource(None, ref, simulated.client)
    bay, authority = uuid4(), uuid4()
    sealed = (await source()).seal(b"a key", bay_id=bay, authority_id=authority)

    same = Envelope(MasterKey.from_base64(b64encode(secret).decode()))
    assert same.open(sealed, bay_id=bay, authority_id=authority) == b"a key"
    await simulated.client.delete(ref)
    assert (await source()).open(sealed, bay_id=bay, authority_id=authority) == b"a key"  # fetched once


async def test_who_waited_for_a_master_key_in_vain_is_not_sent_again_at_once(
    simulated: Vault,
    sim: Sim,  # noqa: F811
) -> None:
    ref, now = await simulated.client.store("jeroboam-master-key", os.urandom(32)), [0.0]
    source = EnvelopeSource(None, ref, simulated.client, clock=lambda: now[0])
    await sim.fault(kind="status", service="key-manager", status=503, count=1)
    for _ in range(3):
        with pytest.raises(CloudError):
            await source()
    assert await sim.count("key-manager", "GET") == 1

    now[0] = 5.0
    await source()


async def test_a_master_key_that_is_not_there_or_is_something_else(simulated: Vault) -> None:
    ref = await simulated.client.store("jeroboam-master-key", b"too short to be one")
    with pytest.raises(EnvelopeError, match="32 bytes") as caught:
        await EnvelopeSource(None, ref, simulated.client)()
    assert "too short" not in str(caught.value)
    await simulated.client.delete(ref)
    with pytest.raises(EnvelopeError, match="not in Barbican"):
        await EnvelopeSource(None, ref, simulated.client)()
    with pytest.raises(EnvelopeError, match="No master key is set"):
        await EnvelopeSource(None, None, simulated.client)()


def test_a_store_in_barbican_needs_no_master_key_and_takes_one() -> None:
    assert _settings(certificate_store="barbican").certificate_store == "barbican"
    assert _settings(certificate_store="barbican", master_key="x").master_key is not None
    assert _settings(master_key_secret="https://barbican.example.org/v1/secrets/1").master_key_secret is not None
    for wrong in ({}, {"master_key": "x", "master_key_secret": "y"}, {"certificate_store": "elsewhere"}):
        with pytest.raises(ValidationError):
            _settings(**wrong)


async def _plant(sim: Sim, name: str, payload: bytes) -> str:  # noqa: F811
    """Another user is a member of our project too, and stores a secret; its address."""
    admin, _ = await sim.login("admin")
    project = (await sim.login("jeroboam", "service"))[1]["project"]["id"]
    users = (await sim.api("GET", "/identity/v3/users", admin))["users"]
    roles = (await sim.api("GET", "/identity/v3/roles", admin))["roles"]
    user = next(one["id"] for one in users if one["name"] == "demo")
    role = next(one["id"] for one in roles if one["name"] == "member")
    await sim.api("PUT", f"/identity/v3/projects/{project}/users/{user}/roles/{role}", admin)
    token, _ = await sim.login("demo", "service")
    body = {
        "name": name,
        "secret_type": "private",
        "payload": b64encode(payload).decode(),
        "payload_content_type": "application/octet-stream",
        "payload_content_encoding": "base64",
    }
    ref: str = (await sim.api("POST", "/key-manager/v1/secrets", token, body))["secret_ref"]
    return ref


def _settings(**given: Any) -> CertsSettings:
    common = {"database_url": "postgresql://h/d", "keystone_url": "http://h/v3", "service_password": "p"}
    return CertsSettings(**{**common, **given})
