"""A rotation whose keys lie in Barbican: taken up after a crash, destroyed at its end, and all of them with the bay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import load_pem_x509_certificate

from services.certs.authority import new_authority_key
from services.certs.key_store import BarbicanKeys, KeyOwner, secret_name
from shared.db.repositories import authorities
from shared.db.repositories.authorities import KINDS, SERVICE_ACCOUNT
from shared.domain.operation import OperationKind
from shared.pki_client import KeyKind
from tests.certs.rotation_bay import Bay
from tests.certs.test_barbican import Vault, no_guard, simulated  # noqa: F401
from tests.certs.test_nodes import Everything
from tests.certs.world import World
from tests.openstack.conftest import cloudsim_url, make_cloud, sim  # noqa: F401


@pytest.fixture
async def bay(world: World, simulated: Vault) -> AsyncIterator[Bay]:  # noqa: F811
    world.drivers = lambda _name: Everything()
    simulated.into(world)
    made = await Bay.of(world, 1, 1)
    yield made
    await made.gateway.dispose()


async def count(vault: Vault, bay: Bay, generation: int) -> list[int]:
    """How many secrets there are of each kind."""
    names = [secret_name(bay.world.bay_id, kind, generation) for kind in (*KINDS, SERVICE_ACCOUNT)]
    return [len(await vault.client.named(name)) for name in names]


async def _new_key() -> bytes:
    return new_authority_key(KeyKind.EC_P256)


async def test_the_keys_of_a_killed_try_become_those_of_the_next_generation(bay: Bay, simulated: Vault) -> None:  # noqa: F811
    keys = BarbicanKeys(simulated.client)
    owner = KeyOwner(uuid4(), bay.world.bay_id, "etcd", 2)
    killed = await keys.keep(owner, _new_key, no_guard)
    operation = await bay.start()
    await bay.look(operation)
    assert await count(simulated, bay, 2) == [1, 1, 1, 0]
    async with bay.world.engine.connect() as conn:
        made = (await authorities.current_all(conn, bay.world.bay_id))["etcd"]
    public = load_pem_x509_certificate(made.certificate.encode()).public_key()
    assert (made.generation, public) == (2, load_der_private_key(killed.key, None).public_key())

    await bay.finish(operation)
    assert await count(simulated, bay, 1) == [0, 0, 0, 1]  # the service-account key stays
    assert await count(simulated, bay, 2) == [1, 1, 1, 0]
    assert await bay.remains() == [2]


async def test_what_is_undone_takes_the_new_keys_along(bay: Bay, simulated: Vault) -> None:  # noqa: F811
    operation = await bay.start()
    await bay.look(operation)
    assert await bay.undo()
    await bay.finish(operation)
    assert await count(simulated, bay, 1) == [1, 1, 1, 1]
    assert await count(simulated, bay, 2) == [0, 0, 0, 0]


async def test_with_the_bay_the_keys_of_every_generation_go(bay: Bay, simulated: Vault) -> None:  # noqa: F811
    await bay.finish(await bay.start())
    operation = await bay.start()
    await bay.look(operation)
    owner = KeyOwner(uuid4(), bay.world.bay_id, "etcd", 4)  # of a try that never wrote its rows
    await BarbicanKeys(simulated.client).keep(owner, _new_key, no_guard)
    await bay.world.run_operation(OperationKind.DELETE, "delete.authorities")
    for generation in range(1, 5):
        assert await count(simulated, bay, generation) == [0, 0, 0, 0]
    assert await bay.world.column("SELECT count(*) FROM authority_keys") == [0]
