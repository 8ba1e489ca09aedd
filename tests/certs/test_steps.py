"""A bay's authorities: made once, encrypted, destroyed with the bay; and nobody else can read a key."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from services.certs.envelope import Envelope, MasterKey
from shared.db.engine import make_engine
from shared.db.repositories import authorities
from shared.db.repositories.authorities import KINDS
from shared.domain.operation import OperationKind
from shared.pki_client import describe, verify_chain
from tests.certs.requests import csr
from tests.certs.test_nodes import Everything
from tests.certs.world import MASTER_KEY, World, as_role


async def test_a_new_bay_gets_three_authorities_of_its_own(world: World) -> None:
    await world.make_authorities()

    async with world.engine.connect() as conn:
        found = await authorities.current_all(conn, world.bay_id)
    assert set(found) == set(KINDS)
    assert len({one.certificate for one in found.values()}) == 3
    for one in found.values():
        facts = describe(one.certificate)
        assert (facts.subject, facts.is_authority, facts.key) == ("CN=kube", True, "EC secp256r1")
        assert facts.not_after == one.not_after
        verify_chain(one.certificate, one.certificate)
    assert await world.column("SELECT step || ' ' || service FROM operations") == ["create.render provisioner"]
    assert await world.column("SELECT name FROM outbox ORDER BY seq DESC LIMIT 1") == ["bay.authorities.ready"]


async def test_keys_are_encrypted_for_bay_and_authority(world: World) -> None:
    await world.make_authorities()
    envelope = Envelope(MasterKey.from_base64(MASTER_KEY))

    async with world.engine.connect() as conn:
        authority = await authorities.current(conn, world.bay_id, "etcd")
        assert authority is not None
        record = await authorities.stored_key(conn, authority.id)
    assert isinstance(record, authorities.SealedKey)
    key = envelope.open(record, bay_id=world.bay_id, authority_id=authority.id)
    load_der_private_key(key, None)
    assert key not in record.sealed


async def test_making_them_again_changes_nothing(world: World) -> None:
    await world.make_authorities()
    before = await world.rows("SELECT a.*, k.sealed FROM authorities a JOIN authority_keys k ON a.id = k.authority_id")
    await world.make_authorities()

    after = await world.rows("SELECT a.*, k.sealed FROM authorities a JOIN authority_keys k ON a.id = k.authority_id")
    assert sorted(map(str, after)) == sorted(map(str, before))
    assert await world.column("SELECT count(*) FROM certificate_audit") == [3]


async def test_masters_that_share_a_key_have_one_that_goes_with_the_bay(world: World) -> None:
    world.drivers = lambda _name: Everything()
    await world.make_authorities()
    before = await world.rows("SELECT id, certificate FROM authorities WHERE kind = 'service_account'")
    await world.make_authorities()
    assert await world.rows("SELECT id, certificate FROM authorities WHERE kind = 'service_account'") == before
    assert len(before) == 1
    assert await world.column("SELECT count(*) FROM authority_keys") == [4]
    async with world.engine.connect() as conn:
        assert set(await authorities.current_all(conn, world.bay_id)) == set(KINDS)  # it is no authority
    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    assert await world.column("SELECT count(*) FROM authority_keys") == [0]


async def test_only_what_is_missing_is_made(world: World) -> None:
    await world.make_authorities()
    await world.rows("DELETE FROM authorities WHERE kind = 'etcd'")
    kept = set(await world.column("SELECT id FROM authorities"))
    await world.make_authorities()

    now = set(await world.column("SELECT id FROM authorities"))
    assert kept < now
    assert len(now) == 3


async def test_a_name_too_long_for_a_common_name_gives_way_to_the_id(world: World) -> None:
    await world.rows(f"UPDATE bays SET name = '{'n' * 65}'")
    await world.make_authorities()

    async with world.engine.connect() as conn:
        authority = await authorities.current(conn, world.bay_id, "kubernetes")
    assert authority is not None
    assert describe(authority.certificate).subject == f"CN={world.bay_id}"


async def test_destroying_leaves_no_key_and_ends_signing(world: World) -> None:
    await world.make_authorities()
    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    await world.run_operation(OperationKind.DELETE, "delete.authorities")

    assert await world.column("SELECT count(*) FROM authority_keys") == [0]
    assert await world.column("SELECT count(*) FROM authorities") == [3]
    made = ["authority made"] * 3
    assert await world.column("SELECT action FROM certificate_audit ORDER BY seq") == [
        *made,
        "authority keys destroyed",
    ]
    request = await world.ask(csr())
    await world.signer().decide(request)
    outcome = await world.outcome(request)
    assert (outcome.state, outcome.reason) == (
        "refused",
        "The bay has no kubernetes certificate authority that can sign.",
    )


@pytest.mark.parametrize("role", ["jb_api", "jb_provisioner", "jb_scaler"])
@pytest.mark.parametrize(
    "verb",
    [
        "SELECT sealed FROM authority_keys",
        "SELECT count(*) FROM authority_keys",
        "INSERT INTO authority_keys (authority_id, key_id, wrapped_key, sealed) SELECT id, '', '', '' FROM authorities",
        "UPDATE authority_keys SET key_id = ''",
        "DELETE FROM authority_keys",
        "TRUNCATE authority_keys",
        "COPY authority_keys TO STDOUT",
        "INSERT INTO authorities SELECT * FROM authorities",
        "UPDATE authorities SET certificate = ''",
        "DELETE FROM authorities",
        "UPDATE certificates SET pem = ''",
        "DELETE FROM certificates",
        "UPDATE sign_requests SET state = 'signed'",
        "SELECT action FROM certificate_audit",
        "DELETE FROM certificate_audit",
        "SET ROLE jb_certs",
        "SET ROLE jb_migrate",
    ],
)
async def test_no_other_role_can_touch_keys_or_certificates(world: World, role: str, verb: str) -> None:
    engine = make_engine(as_role(world.dsn, role), pool_size=1)
    try:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be"):
            async with engine.begin() as conn:
                await conn.execute(text(verb))
    finally:
        await engine.dispose()


@pytest.mark.parametrize("verb", ["UPDATE certificate_audit SET action = ''", "DELETE FROM certificate_audit"])
async def test_not_even_certs_can_rewrite_the_audit_trail(world: World, verb: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with world.engine.begin() as conn:
            await conn.execute(text(verb))
