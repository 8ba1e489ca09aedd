"""What a node is told while the authorities of its bay are rotated: whom to trust, when to renew, and always that."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.domain.rotation import revision_of
from tests.api.harness import System
from tests.api.rotating import Rotating, with_two_generations
from tests.api.test_nodes import proof
from tests.support.csrs import csr_of

KINDS: Final = ("kubernetes", "etcd", "front_proxy")
KEY: Final = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def rotating(system: System) -> Rotating:
    return await with_two_generations(system)


class Node:
    """A node that keeps the ETag of what it was told last."""

    def __init__(self, rotating: Rotating, server_id: str, pem: str) -> None:
        self.rotating, self.server_id, self.pem, self.tag = rotating, server_id, pem, ""

    def ask(self) -> httpx.Response:
        headers = {**proof(KEY, self.pem), "If-None-Match": self.tag}
        answer = self.rotating.system.call("GET", "/v1/nodes/self", user=None, headers=headers)
        self.tag = answer.headers.get("ETag", "")
        return answer

    def told(self) -> dict[str, Any]:
        """What is new to it."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        assert self.ask().status_code == 304
        return told

    async def renewed(self, generation: int) -> None:
        self.pem = await self.rotating.certificate(self.server_id, generation, KEY)

    async def report(self, revision: str, problem: str = "etcd is not well") -> None:
        body = {"healthy": False, "revision": revision, "problem": problem}
        path = "/v1/nodes/self"
        headers = proof(KEY, self.pem, "PUT", body)
        assert self.rotating.system.call("PUT", path, body, user=None, headers=headers).status_code == 204

    def renews(self) -> httpx.Response:
        """It asks for certificates, by the one that it has."""
        body = {"server_id": self.server_id, "role": "worker", "csr": csr_of(KEY, name="k8s-node-0")}
        path = f"/v1/bays/{self.rotating.uuid}/node-certificates"
        headers = proof(KEY, self.pem, "POST", body, path)
        return self.rotating.system.call("POST", path, body, user=None, headers=headers)


@pytest.fixture
async def node(rotating: Rotating) -> Node:
    server_id = await rotating.node("k8s-node-0")
    return Node(rotating, server_id, await rotating.certificate(server_id, 1, KEY))


def trusts(rotating: Rotating, told: dict[str, Any], *generations: int) -> None:
    """It is told these generations of every kind, by a revision that says so."""
    assert told["authorities"] == {kind: rotating.pem(kind, *generations) for kind in KINDS}
    assert told["ca_pem"] == told["authorities"]["kubernetes"]
    pems = [rotating.made[kind, one].pem for kind in KINDS for one in generations]
    assert told["revision"] == revision_of(pems)


async def test_from_one_authority_to_the_next(rotating: Rotating, node: Node) -> None:
    await rotating.set("trust")
    told = node.told()
    trusts(rotating, told, 1)  # not its turn yet
    assert told["renew"] is False
    await rotating.turn(node.server_id, "trust")
    told = node.told()
    trusts(rotating, told, 1, 2)
    assert told["renew"] is False
    await rotating.set("reissue")
    assert node.ask().status_code == 304  # not its turn yet
    await rotating.turn(node.server_id, "reissue")
    told = node.told()
    trusts(rotating, told, 1, 2)
    assert told["renew"] is True
    await node.renewed(2)
    told = node.told()
    trusts(rotating, told, 1, 2)
    assert told["renew"] is False
    await rotating.set("drop")
    assert node.ask().status_code == 304
    await rotating.turn(node.server_id, "drop")
    trusts(rotating, node.told(), 2)
    await rotating.retire(1)
    assert node.ask().status_code == 304


async def test_there_and_back(rotating: Rotating, node: Node) -> None:
    """The second wish to renew is another one than the first, even if nobody asked in between."""
    await rotating.set("reissue")
    await rotating.turn(node.server_id, "reissue")
    assert node.told()["renew"] is True
    await node.renewed(2)
    await rotating.set("reissue", undone=True)
    await rotating.turn(node.server_id, "reissue", target=1)
    told = node.told()
    trusts(rotating, told, 1, 2)
    assert told["renew"] is True
    await node.renewed(1)
    assert node.told()["renew"] is False
    await rotating.set("drop", undone=True)
    await rotating.turn(node.server_id, "drop", target=1)
    trusts(rotating, node.told(), 1)
    await rotating.retire(2)
    assert node.ask().status_code == 304


async def test_a_turn_from_before_it_was_undone_lets_nobody_renew(rotating: Rotating, node: Node) -> None:
    await rotating.set("reissue", undone=True)
    await rotating.turn(node.server_id, "reissue", target=2)
    assert node.told()["renew"] is False


@pytest.mark.parametrize("undone", [False, True])
async def test_a_node_that_is_made_meanwhile_trusts_what_the_others_use(rotating: Rotating, undone: bool) -> None:
    """Before it has a turn: others may have certificates of the new authority, also where that is undone."""
    await rotating.set("reissue", undone=undone)
    server_id = await rotating.node("k8s-node-9", position=9)
    late = Node(rotating, server_id, await rotating.certificate(server_id, 1 if undone else 2, KEY))
    told = late.told()
    trusts(rotating, told, 1, 2)
    assert told["renew"] is False


async def test_a_certificate_of_a_retired_authority_proves_nothing(rotating: Rotating, node: Node) -> None:
    assert node.ask().status_code == 200
    await rotating.retire(1)
    answer = node.ask()
    assert answer.status_code == 401
    assert "it does not hold any more" in answer.json()["errors"][0]["detail"]


async def test_what_it_reports_says_which_certificate_it_uses(rotating: Rotating, node: Node) -> None:
    query = "SELECT authority_generation, revision, problem FROM node_reports WHERE bay_id = $1"
    for generation in (1, 2):
        await node.renewed(generation)
        await node.report("5f0c2a9be1d04c37")
        rows = await rotating.system.sql(query, rotating.uuid)
        assert [tuple(row) for row in rows] == [(generation, "5f0c2a9be1d04c37", "etcd is not well")]


async def stored(rotating: Rotating) -> list[tuple[Any, ...]]:
    query = "SELECT authority_generation, revision FROM node_reports WHERE bay_id = $1"
    return [tuple(row) for row in await rotating.system.sql(query, rotating.uuid)]


async def test_a_certificate_that_was_replaced_says_nothing_and_renews_nothing(rotating: Rotating, node: Node) -> None:
    """Whoever holds the node's old certificate cannot take back what the node has reached."""
    old = node.pem
    await rotating.set("reissue")
    await rotating.turn(node.server_id, "reissue")
    await node.report("first")
    await node.renewed(2)
    new, node.pem = node.pem, old
    await node.report("unused")  # the new one was not used yet: it may not have come
    assert await stored(rotating) == [(1, "unused")]

    node.pem = new
    await node.report("second")
    node.pem = old
    await node.report("third")
    assert await stored(rotating) == [(2, "second")]
    assert node.renews().status_code == 403
    count = "SELECT count(*) FROM attestations WHERE bay_id = $1"
    assert (await rotating.system.sql(count, rotating.uuid))[0]["count"] == 0
    trail = "SELECT requester, detail FROM certificate_audit WHERE bay_id = $1 AND action = 'node_refused'"
    assert [tuple(row) for row in await rotating.system.sql(trail, rotating.uuid)] == [
        (f"node:{node.server_id}", "It shows a certificate that it has replaced already.")
    ]


async def test_a_certificate_of_before_holds_where_the_rotation_was_undone(rotating: Rotating, node: Node) -> None:
    """The node goes back to the previous authority; one that it was signed for late, it has to get rid of."""
    await rotating.set("reissue", undone=True)
    await node.report("first")
    await node.renewed(2)
    await node.report("late")
    assert await stored(rotating) == [(2, "late")]
    late = node.pem
    await node.renewed(1)
    await node.report("back")
    node.pem = late
    await node.report("late again")
    assert await stored(rotating) == [(1, "back")]


async def test_what_it_says_of_its_problem_can_be_shown_on_a_terminal(rotating: Rotating, node: Node) -> None:
    await node.report("", "kubelet:\n\x1b[2J\u202eend \u00fc")
    rows = await rotating.system.sql("SELECT problem FROM node_reports WHERE bay_id = $1", rotating.uuid)
    assert [row["problem"] for row in rows] == ["kubelet:  [2J end \u00fc"]
