"""Rotating the nodes' cloud credential: encrypted to each node, taken by all of them, and then the old one goes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx

from tests.e2e.nodes import PATIENCE, new_key, nodes_of
from tests.e2e.rotating import letter, opened, scene, take
from tests.support.jobs import reason, rows, settled


async def test_every_node_takes_it_and_then_the_old_one_is_revoked(tmp_path: Path) -> None:
    async with scene(tmp_path / "stack") as it:
        bay, nodes = await it.bay()
        first, second = f"jeroboam-{bay}-1", f"jeroboam-{bay}-2"
        before = await nodes[0].call("GET", "/nodes/self")
        assert before.json()["credential_generation"] == 0
        assert (await nodes[0].call("GET", "/nodes/self/credential")).status_code == 404

        await it.rotate(bay)
        told = [opened(tmp_path, node, (await letter(node, 2))["sealed"]) for node in nodes]
        assert told[0] is not None
        assert told == [told[0]] * len(nodes)
        assert set(told[0]) == {"id", "secret", "generation"}
        (stored,) = await rows(it.stack, "SELECT credential_id FROM cloud_credentials WHERE generation = 2")
        assert (told[0]["id"], told[0]["generation"]) == (stored["credential_id"], 2)
        again = await nodes[0].call("GET", "/nodes/self", headers={"If-None-Match": before.headers["ETag"]})
        assert again.status_code == 200
        strange = await letter(nodes[1], 2)
        assert opened(tmp_path, nodes[0], strange["sealed"]) is None  # only its own

        await take(nodes[1:], 2)
        assert await it.people.credentials() == {first, second}  # one still uses the old one
        async with asyncio.timeout(PATIENCE):
            while f"1 of 3 nodes do not use the new credential yet: {nodes[0].name}" not in await it.note(bay):
                await asyncio.sleep(0.1)
        await take(nodes[:1], 2)
        await it.complete(bay, "UPDATE_COMPLETE")
        assert await it.people.credentials() == {second}
        assert await rows(it.stack, "SELECT 1 FROM node_credentials") == []
        assert [row["generation"] for row in await rows(it.stack, "SELECT generation FROM cloud_credentials")] == [2]

        # A node that is born later is born with it, and nothing happens to the others.
        old = await it.user_data(nodes[2].server_id)
        await it.demo.resize(bay, 3)
        await it.complete(bay, "UPDATE_COMPLETE")
        grown = await nodes_of(it.stack, it.demo.client, bay)
        assert {node.server_id for node in nodes} < {node.server_id for node in grown}
        (new,) = {node.server_id for node in grown} - {node.server_id for node in nodes}
        born = await it.user_data(new)
        assert told[0]["id"] in born
        assert told[0]["secret"] in born
        assert told[0]["secret"] not in old
        assert await it.user_data(nodes[2].server_id) == old

        await it.demo.client.delete_bay(bay)
        assert await settled(it.demo.client, bay) == ""
        assert await it.people.credentials() == set()
    logs = "".join(path.read_text() for path in it.stack.workspace.logs.glob("*.log"))
    assert told[0]["secret"] not in logs


async def test_nodes_that_do_not_take_it_are_named_and_both_stay_valid(tmp_path: Path) -> None:
    async with scene(tmp_path / "stack") as it:
        bay, nodes = await it.bay()
        await it.rotate(bay)
        await take(nodes[:1], 2)
        await it.time_is_up(bay)
        await it.complete(bay, "UPDATE_FAILED")
        why = await reason(it.demo.client, bay)
        assert f"was not taken by 2 of the nodes: {nodes[1].name}, {nodes[2].name}. The old one stays valid." in why
        assert await it.people.credentials() == {f"jeroboam-{bay}-{number}" for number in (1, 2)}

        # The next rotation starts anew, whatever each node has by now.
        await it.rotate(bay)
        await letter(nodes[1], 3)
        # A node that gets another certificate meanwhile could not open what was sealed for the one before.
        renewed = new_key()
        old, nodes[1].key = nodes[1].key, renewed
        csr = nodes[1].csr()
        nodes[1].key = old
        answer = await nodes[1].renew(csr)
        assert answer.status_code == 201, answer.text
        nodes[1].key, nodes[1].certificate = renewed, answer.json()["pem"]
        assert (await nodes[1].call("GET", "/nodes/self")).json()["credential_generation"] in (0, 3)
        told = opened(tmp_path, nodes[1], (await letter(nodes[1], 3))["sealed"])
        assert told is not None
        assert told["generation"] == 3
        await take(nodes[:2], 3)
        # A server that somebody deleted is not waited for.
        gone = httpx.delete(
            f"{it.stack.cloud_url}/compute/v2.1/servers/{nodes[2].server_id}", headers=it.people.http.headers
        )
        assert gone.status_code == 204
        await it.time_is_up(bay)
        await it.complete(bay, "UPDATE_COMPLETE")
        assert await it.people.credentials() == {f"jeroboam-{bay}-3"}

        # Deleting in the midst of another revokes all there are.
        await it.rotate(bay)
        await letter(nodes[0], 4)
        await it.demo.client.delete_bay(bay)
        assert await settled(it.demo.client, bay) == ""
        assert await it.people.credentials() == set()


async def test_a_server_that_is_gone_gets_nothing_and_one_that_nobody_knows_keeps_the_old_one(tmp_path: Path) -> None:
    async with scene(tmp_path / "stack") as it:
        bay, nodes = await it.bay()
        # Somebody may have kept the key of a server that was deleted.
        url = f"{it.stack.cloud_url}/compute/v2.1/servers/{nodes[2].server_id}"
        assert httpx.delete(url, headers=it.people.http.headers).status_code == 204
        async with asyncio.timeout(PATIENCE):
            while httpx.get(url, headers=it.people.http.headers).status_code != 404:
                await asyncio.sleep(0.1)
        await it.rotate(bay)
        await letter(nodes[0], 2)
        assert (await nodes[2].call("GET", "/nodes/self/credential")).status_code == 404
        lettered = "SELECT server_id FROM node_credentials"
        assert {row["server_id"] for row in await rows(it.stack, lettered)} == {one.server_id for one in nodes[:2]}
        await take(nodes[:2], 2)
        await it.complete(bay, "UPDATE_COMPLETE")
        assert await it.people.credentials() == {f"jeroboam-{bay}-2"}

        # As after a resize that failed before it recorded what it had built.
        await rows(it.stack, "DELETE FROM nodes WHERE server_id = $1", nodes[1].server_id)
        await it.rotate(bay)
        await it.complete(bay, "UPDATE_FAILED")
        why = await reason(it.demo.client, bay)
        assert f"not known as its nodes: {nodes[1].name} ({nodes[1].server_id}). The old credential stays valid." in why
        assert await it.people.credentials() == {f"jeroboam-{bay}-{number}" for number in (2, 3)}
        given = "INSERT INTO node_credentials (bay_id, server_id, generation, serial, sealed) SELECT bay_id, substr(requester, 6), 3, serial, 'x' FROM certificates WHERE requester = 'node:' || $1 AND profile = 'node:node'"  # noqa: E501
        await rows(it.stack, given, nodes[1].server_id)
        assert (await nodes[1].call("GET", "/nodes/self/credential")).status_code == 404


async def test_a_gateway_that_dies_before_it_accepts_leaves_nothing(tmp_path: Path) -> None:
    points = tmp_path / "points"
    points.mkdir()
    extra = {"JEROBOAM_SWEEP_MINUTES": "2"}
    async with scene(tmp_path / "stack", failpoint_dir=points, restart=True, extra_environment=extra) as it:
        bay, nodes = await it.bay(workers=1)
        for point, made in (("api:credential_intended", False), ("api:credential_made", True)):
            (points / point).touch()
            with suppress(httpx.HTTPError):
                await it.demo("PATCH", f"/v1/credentials/{bay}")
            assert not (points / point).exists()
            assert (f"jeroboam-{bay}-2" in await it.people.credentials()) == made
            await it.stack.supervisor.wait_ready("api")
            async with asyncio.timeout(PATIENCE):
                while len(await rows(it.stack, "SELECT 1 FROM cloud_credentials")) > 1:
                    await asyncio.sleep(0.2)
            assert await it.people.credentials() == {f"jeroboam-{bay}-1"}
        assert {one.kind for one in await it.demo.client.operations(bay)} == {"create"}
        await it.rotate(bay)
        await take(nodes, 2)  # nothing had that number before
        await it.complete(bay, "UPDATE_COMPLETE")
