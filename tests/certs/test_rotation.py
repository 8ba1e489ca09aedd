"""The authorities of a bay are rotated: phase by phase, turn by turn, to an end from wherever it stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from typing_extensions import override

from services.certs.factory import Deps
from services.certs.key_pool import KeyPool
from shared.db.repositories import node_calls
from shared.domain.operation import OperationKind
from shared.domain.rotation import Phase
from shared.pki_client import describe
from tests.certs.rotation_bay import MakeBay, of_role
from tests.certs.world import Plain, World


async def test_masters_go_one_at_a_time_and_workers_beside_them(make: MakeBay, world: World) -> None:
    bay = await make(3, 20)
    operation = await bay.start()
    behind: set[str] = set()
    for _ in range(100):
        before = await bay.turns()
        await bay.look(operation)
        if await bay.state(operation) != "active":
            break
        now = await bay.turns()
        given = {server for server, turn in now.items() if before.get(server) != turn}
        assert len(given & of_role(bay.agents, "master")) <= 1
        assert len(given & of_role(bay.agents, "worker")) <= 2  # a tenth
        behind |= given
        await bay.look(operation)  # nobody has come: nobody else gets a turn
        assert await bay.turns() == now
        await bay.poll(*given)
    assert await bay.state(operation) == "done"
    assert behind == {one.server_id for one in bay.agents}
    assert {one.generation for one in bay.agents} == {2}
    assert await bay.remains() == [2]
    assert await bay.rotation() is None
    assert await bay.turns() == {}
    assert await world.column("SELECT status FROM bays") == ["UPDATE_COMPLETE"]
    assert await world.column("SELECT name FROM outbox ORDER BY seq DESC LIMIT 1") == ["bay.ca.rotated"]

    trail = await world.rows("SELECT action, requester, detail FROM certificate_audit ORDER BY seq")
    told = [row for row in trail if row[0] != "rotation turn"]
    assert told == [
        *(("authority made", None, f"{kind} 2") for kind in ("kubernetes", "etcd", "front_proxy")),
        ("rotation begun", None, "from generation 1 to 2"),
        ("rotation moved", None, "to reissue, towards generation 2"),
        ("rotation moved", None, "to drop, towards generation 2"),
        ("authorities retired", None, "generation 1"),
        ("rotation ended", None, None),
    ]
    assert len(trail) - len(told) == 3 * 23
    assert ("rotation turn", "node:m1", "reissue, towards generation 2") in trail


async def test_a_master_waits_until_the_others_are_well(make: MakeBay) -> None:
    bay = await make(3, 0)
    bay.agent("m2").problem = "etcd did not start"
    await bay.poll()
    operation = await bay.start()
    await bay.look(operation)
    assert set(await bay.turns()) == {"m2"}  # its own turn can do no harm
    await bay.poll("m0", "m1")
    await bay.look(operation)
    assert set(await bay.turns()) == {"m2"}
    note = await bay.note("trust")
    assert note.startswith("0 of 3 nodes trust the new certificate authorities beside the old ones; name-of-m2: its tu")
    assert note.endswith(": etcd did not start")

    bay.agent("m2").problem = None
    await bay.poll("m2")
    await bay.silent("m1", minutes=3)
    await bay.look(operation)
    assert set(await bay.turns()) == {"m1", "m2"}  # the silent one first: the others cannot be sure of it
    await bay.poll("m1")
    await bay.silent("m2", minutes=3)
    await bay.look(operation)
    assert set(await bay.turns()) == {"m1", "m2"}
    assert "no master gets its turn until all others are well: name-of-m2 (has not reported since " in await bay.note(
        "trust"
    )
    await bay.finish(operation)


async def test_a_late_worker_keeps_its_turn_and_does_not_hold_up_more_than_one_other(
    make: MakeBay, world: World
) -> None:
    bay = await make(1, 4)
    operation = await bay.start()
    await bay.look(operation)
    assert set(await bay.turns()) == {"m0", "w0"}
    aged = "UPDATE rotation_turns SET given_at = now() - interval '11 minutes' WHERE server_id = '{}'"
    await world.rows(aged.format("w0"))
    for agent in ("w1", "w3"):
        await bay.silent(agent, minutes=3)
    await bay.look(operation)
    assert set(await bay.turns()) == {"m0", "w0", "w2"}  # who reports goes first
    await world.rows(aged.format("w2"))
    await bay.look(operation)
    assert set(await bay.turns()) == {"m0", "w0", "w2"}  # two in a row: it may be us
    await bay.poll("w2")
    await bay.look(operation)
    assert set(await bay.turns()) == {"m0", "w0", "w1", "w2"}
    await bay.finish(operation)


async def test_laggards_are_named_and_the_next_operation_goes_on(make: MakeBay, world: World) -> None:
    bay = await make(2, 2)
    first = await bay.start()
    await bay.look(first)
    bay.agent("w0").problem = "kubelet did not come back"
    await bay.poll("m0", "w0")
    await bay.silent("w1", minutes=30)
    await world.rows(f"UPDATE operations SET deadline = now() WHERE id = '{first}'")
    await bay.look(first)
    assert await bay.state(first) == "failed"
    why = await bay.error(first)
    assert why.startswith(
        "3 of 4 nodes do not trust the new certificate authorities beside the old ones yet: name-of-m"
    )
    assert "name-of-w0 (kubelet did not come back), name-of-w1 (has not reported since " in why
    assert "Both authorities stay trusted." in why
    assert "PATCH /v1/certificates/CLUSTER" in why
    assert "DELETE /v1/certificates/CLUSTER/rotation" in why
    (faults,) = await world.column("SELECT faults FROM bays")
    assert isinstance(faults, dict)
    assert set(faults) == {"name-of-m1", "name-of-w0", "name-of-w1"}
    assert faults["name-of-w0"].endswith("It says: kubelet did not come back")
    assert faults["name-of-w1"].startswith("Its turn did not come: name-of-w0 went before. Has not reported since ")
    assert await bay.remains() == [1, 2]

    # One of the two left the bay; the other was repaired.
    await world.rows("DELETE FROM nodes WHERE server_id = 'w1'")
    bay.agents.remove(bay.agent("w1"))
    bay.agent("w0").problem = None
    second = await bay.start()
    await bay.finish(second)
    assert await bay.remains() == [2]
    assert await world.column("SELECT DISTINCT generation FROM authorities ORDER BY 1") == [1, 2]


async def test_a_bay_without_recorded_nodes_is_not_rotated(make: MakeBay) -> None:
    bay = await make(0, 0)
    operation = await bay.start()
    await bay.look(operation)
    assert await bay.state(operation) == "failed"
    assert "No node of this cluster is recorded" in await bay.error(operation)
    assert await bay.remains() == [1]


async def test_old_machines_get_their_rsa_keys_from_the_pool(make: MakeBay, world: World) -> None:
    class Old(Plain):
        ca_key: ClassVar[Literal["ec-p256", "rsa2048"]] = "rsa2048"

    class Counting(KeyPool):
        taken = 0

        @override
        async def take(self) -> bytes:
            Counting.taken += 1
            return await super().take()

    class OldWorld(World):
        @override
        def deps(self) -> Deps:
            return replace(super().deps(), rsa_keys=Counting(self.cpu, size=0))

    world.drivers = lambda _name: Old()
    world.__class__ = OldWorld
    bay = await make(1, 0)
    assert Counting.taken == 3
    await bay.finish(await bay.start())
    assert Counting.taken == 6
    for pem in await world.column("SELECT certificate FROM authorities"):
        assert describe(str(pem)).key == "RSA 2048"


async def test_a_delete_in_the_midst_destroys_all_keys(make: MakeBay, world: World) -> None:
    bay = await make(1, 1)
    operation = await bay.start()
    await bay.until(operation, Phase.REISSUE)
    await world.rows("UPDATE bays SET wanted = 'gone'")
    await bay.look(operation)
    assert await bay.state(operation) == "superseded"
    await world.run_operation(OperationKind.DELETE, "delete.authorities")
    assert await world.column("SELECT count(*) FROM authority_keys") == [0]


async def test_a_node_whose_certificates_were_signed_by_two_generations_is_of_neither(
    make: MakeBay, world: World
) -> None:
    """The rotation moved on between the signatures of one answer."""
    bay = await make(1, 0)
    operation = await bay.start()
    await bay.look(operation)
    columns = "bay_id, server_id, role, digest, csr, csr_digest, expires_at"
    (attestation,) = await world.column(
        f"INSERT INTO attestations (id, {columns}) SELECT gen_random_uuid(), id, 'm0', 'master', 'd', 'c', 'd', now()"
        " FROM bays RETURNING id"
    )
    for profile, generation in (("node", 2), ("apiserver", 1)):
        (request,) = await world.column(
            "INSERT INTO sign_requests (id, bay_id, authority_kind, profile, requester, csr, csr_digest, expires_at,"
            f" attestation_id, state) SELECT gen_random_uuid(), id, 'kubernetes', 'node:{profile}', 'node:m0', 'c',"
            f" 'd', now(), '{attestation}', 'signed' FROM bays RETURNING id"
        )
        await world.rows(
            "INSERT INTO certificates (id, bay_id, authority_id, sign_request_id, serial, subject, profile, requester,"
            f" state, pem, not_before, not_after) SELECT '{request}', bay_id, id, '{request}', '{profile}', 's',"
            f" 'node:{profile}', 'node:m0', 'issued', 'p', now(), now() FROM authorities"
            f" WHERE kind = 'kubernetes' AND generation = {generation}"
        )
        await world.rows(f"UPDATE sign_requests SET certificate_id = id WHERE id = '{request}'")

    async def generation_of_it() -> int:
        async with bay.gateway.connect() as conn:
            found = await node_calls.issued(conn, "node", "node:node")
        assert found is not None
        return found.generation

    assert await generation_of_it() == node_calls.MIXED
    await world.rows(
        "UPDATE certificates SET authority_id = (SELECT authority_id FROM certificates WHERE serial = 'node')"
    )
    assert await generation_of_it() == 2

    bay.agent("m0").generation = node_calls.MIXED  # whatever its turn, it gets there
    await bay.finish(operation)
    assert bay.agent("m0").generation == 2


async def test_a_certificate_that_comes_late_keeps_the_last_phase_waiting(make: MakeBay, world: World) -> None:
    """1. Undone while a node is signed for by the new authority. 2. All others have dropped that. 3. It reports."""
    bay = await make(1, 1)
    operation = await bay.start()
    await bay.until(operation, Phase.REISSUE)
    await bay.poll("m0")
    assert await bay.undo()
    await bay.until(operation, Phase.DROP)
    await bay.poll("m0")
    (alone,) = await world.column("SELECT revision FROM node_reports WHERE server_id = 'm0'")
    bay.agent("w0").generation = 2
    await bay.say(bay.agent("w0"), str(alone))
    await bay.look(operation)
    assert await bay.state(operation) == "active"
    assert "1 of 2 nodes trust only the previous certificate authorities" in await bay.note("drop")
    await bay.finish(operation)
    assert bay.agent("w0").generation == 1


async def test_a_bay_whose_authorities_have_ended_is_not_rotated(make: MakeBay, world: World) -> None:
    """Its nodes cannot prove who they are any more; one authority of three is enough for that."""
    bay = await make(1, 1)
    await world.rows("UPDATE authorities SET not_after = now() WHERE kind = 'etcd'")
    operation = await bay.start()
    await bay.look(operation)
    assert await bay.state(operation) == "failed"
    assert "have ended" in await bay.error(operation)
    assert "Make a new cluster" in await bay.error(operation)
    assert await bay.rotation() is None
    assert await world.column("SELECT DISTINCT generation FROM authorities") == [1]
