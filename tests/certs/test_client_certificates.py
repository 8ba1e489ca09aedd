"""Certificates of people, from the row that the gateway writes to what is signed: profile, bay, validity, roles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest
from cryptography import x509
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.certs.client_policy import ClientPolicy, parse_patterns
from services.certs.signer import Signer
from shared.db.engine import make_engine
from shared.db.repositories import authorities, wrapped_keys
from shared.domain import client_profiles
from shared.drivers import registry
from shared.pki_client import verify_chain
from tests.certs.requests import csr
from tests.certs.world import World, as_role


@pytest.fixture
async def bay(world: World) -> World:
    """A Kubernetes bay of today with nodes and authorities."""
    await world.make_authorities()
    world.drivers = registry.by_name
    await world.rows(
        "UPDATE bays SET driver = 'k8s_ubuntu', api_address = 'https://203.0.113.7:6443', "
        """spec = '{"labels": {"service_cluster_ip_range": "10.96.0.0/16"}}'"""
    )
    await world.rows(
        "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
        "SELECT id, 'one', 'master', 0, 'kube-master-0', '203.0.113.8', '10.0.0.4' FROM bays"
    )
    return world


def signer(world: World, policy: ClientPolicy | None = None) -> Signer:
    plain = world.signer()
    return Signer(
        plain.engine,
        plain.keys,
        plain.cache,
        plain.cpu,
        plain.validity,
        drivers=world.drivers,
        clients=policy or ClientPolicy(),
    )


async def decided(world: World, request: str, profile: str = "owner", policy: ClientPolicy | None = None) -> str:
    """The certificate, or why there is none."""
    requester = client_profiles.SCALER_REQUESTER if profile == "scaler" else "user-1"
    asked = await world.ask(request, profile=profile, requester=requester)
    await signer(world, policy).decide(asked)
    outcome = await world.outcome(asked)
    return outcome.pem or outcome.reason or outcome.state.value


def naming(*addresses: str) -> str:
    return csr((x509.SubjectAlternativeName([x509.IPAddress(ip_address(one)) for one in addresses]), False))


@pytest.mark.parametrize(
    ("profile", "subject"),
    [
        ("admin", "CN=admin,O=system:masters"),
        ("reader", "CN=reader,O=jeroboam:readers"),
        ("scaler", "CN=jeroboam-scaler,O=jeroboam:scaler"),
    ],
)
async def test_a_profile_is_signed_by_the_bays_authority_and_recorded(bay: World, profile: str, subject: str) -> None:
    pem = await decided(bay, csr(names=[]), profile)

    async with bay.engine.connect() as conn:
        issuer = await authorities.current(conn, bay.bay_id, "kubernetes")
    assert issuer is not None
    verify_chain(pem, issuer.certificate)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    assert sorted(leaf.subject.rfc4514_string().split(",")) == sorted(subject.split(","))
    assert await bay.column("SELECT profile FROM certificates") == [profile]


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "203.0.113.8", "10.0.0.4", "10.0.0.99", "10.96.0.1", "10.100.3.4", "127.0.0.1", "::1"]
)
async def test_the_bays_own_addresses_are_signed(bay: World, address: str) -> None:
    assert (await decided(bay, naming(address))).startswith("-----BEGIN CERTIFICATE")


@pytest.mark.parametrize(
    "address", ["203.0.113.9", "10.1.0.1", "8.8.8.8", "169.254.169.254", "2001:db8::1", "::ffff:10.0.0.4"]
)
async def test_foreign_addresses_are_refused_and_named(bay: World, address: str) -> None:
    reason = await decided(bay, naming("10.0.0.4", address))

    assert reason.startswith(f"Received invalid csr: {ip_address(address)} is not an address of this bay; allowed are ")
    assert await bay.column("SELECT count(*) FROM certificates") == [0]


async def test_the_operator_can_add_networks_and_restrict_subjects(bay: World) -> None:
    policy = ClientPolicy(parse_patterns("CN=*,O=system:*"), (ip_network("203.0.113.0/24"),))

    assert (await decided(bay, naming("203.0.113.9"), policy=policy)).startswith("-----BEGIN")
    assert "operator does not allow the subject ''" in await decided(bay, _unnamed(), policy=policy)


def _unnamed() -> str:
    return csr((x509.SubjectAlternativeName([x509.DNSName("kube")]), False), names=[])


@pytest.mark.parametrize("driver", ["k8s_fedora_atomic", "k8s_coreos", "swarm_fedora_atomic", "mesos_ubuntu"])
async def test_there_are_no_readers_where_every_certificate_opens_everything(bay: World, driver: str) -> None:
    await bay.rows(f"UPDATE bays SET driver = '{driver}'")

    assert await decided(bay, csr(names=[]), "reader") == (
        f"This bay's software ({driver}) gives all rights to every certificate, so it can have none of profile reader."
    )
    assert (await decided(bay, csr(names=[]), "admin")).startswith("-----BEGIN")


async def test_a_scalers_certificate_for_a_person_is_refused(bay: World) -> None:
    request = await bay.ask(csr(names=[]), profile="scaler")
    await signer(bay).decide(request)

    assert (await bay.outcome(request)).reason == "Certificates of profile scaler are not for people."


@pytest.mark.parametrize(
    ("profile", "seconds", "lasts"),
    [("owner", None, 8), ("owner", 7200, 2), ("reader", 3600, 1), ("scaler", None, 1)],
)
async def test_it_lasts_as_long_as_asked_for(bay: World, profile: str, seconds: int | None, lasts: int) -> None:
    requester = client_profiles.SCALER_REQUESTER if profile == "scaler" else "user-1"
    request = await bay.ask(csr(names=[]) if profile != "owner" else csr(), profile=profile, requester=requester)
    await bay.rows(f"UPDATE sign_requests SET validity_seconds = {seconds or 'NULL'}")
    await signer(bay, ClientPolicy(usual=timedelta(hours=8), longest=timedelta(hours=9))).decide(request)

    leaf = x509.load_pem_x509_certificate((await bay.signed(request)).encode())
    (created,) = await bay.column("SELECT date_trunc('second', created_at) FROM certificates")
    assert leaf.not_valid_after_utc - created == timedelta(hours=lasts)  # type: ignore[operator]


async def test_too_long_is_refused(bay: World) -> None:
    request = await bay.ask(csr())
    await bay.rows("UPDATE sign_requests SET validity_seconds = 36000")
    await signer(bay, ClientPolicy(longest=timedelta(hours=9))).decide(request)

    assert "can be had for 0:10:00 to 9:00:00, not for 10:00:00" in ((await bay.outcome(request)).reason or "")


@pytest.mark.parametrize("role", ["jb_api", "jb_provisioner", "jb_scaler"])
async def test_no_other_service_reads_a_key_by_our_own_code(bay: World, role: str) -> None:
    """The product's engine and repositories, as that service's process has them."""
    engine = make_engine(as_role(bay.dsn, role), pool_size=1)
    (authority_id,) = [UUID(str(one)) for one in await bay.column("SELECT id FROM authorities WHERE kind = 'etcd'")]
    reads: tuple[Callable[[AsyncConnection], Awaitable[object]], ...] = (
        lambda conn: authorities.stored_key(conn, authority_id),
        lambda conn: authorities.stored_keys(conn, bay.bay_id),
        wrapped_keys.counts,
        lambda conn: wrapped_keys.hold_batch(conn, "none", None, 1),
    )
    try:
        for read in reads:
            with pytest.raises(ProgrammingError, match="permission denied for table authority_keys"):
                async with engine.connect() as conn:
                    await read(conn)
    finally:
        await engine.dispose()


async def test_no_other_role_has_any_way_to_a_key(bay: World) -> None:
    """No right on the table or on one of its columns, no way to become a role that has, no function in its name."""
    others = "('jb_api'), ('jb_provisioner'), ('jb_scaler')"
    assert (
        await bay.rows(
            f"SELECT role, column_name FROM (VALUES {others}) r(role), information_schema.columns "
            "WHERE table_name = 'authority_keys' AND has_column_privilege(role, table_name, column_name, 'SELECT')"
        )
        == []
    )
    assert (
        await bay.column(f"SELECT role FROM (VALUES {others}) r(role) WHERE pg_has_role(role, 'jb_certs', 'MEMBER')")
        == []
    )
    assert await bay.column("SELECT proname FROM pg_proc WHERE prosecdef AND prosrc ILIKE '%authority_keys%'") == []
    assert await bay.column("SELECT viewname FROM pg_views WHERE definition ILIKE '%authority_keys%'") == []
