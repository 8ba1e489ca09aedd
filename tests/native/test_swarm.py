"""The scaler's way into a swarm, at two real dockerds in swarm mode."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network

import pytest

from shared.coe.connect import ClientCertificate, Dialer, tls
from shared.coe.port import CoeNode, Look
from shared.coe.swarm import SwarmMode
from shared.domain.errors import CloudError
from shared.runtime.egress import EgressPolicy
from tests.native.servers import needed
from tests.native.swarms import Swarm, swarm
from tests.support.lab import machine

MARK = "0b7f2a7e-55a7-4a3b-9f0c-2d6f1c1d9a01"
LIMIT = 45.0


@pytest.fixture
async def dockers() -> AsyncIterator[Swarm]:
    """Two nodes, or the test is skipped with a line that `make test` repeats at its end."""
    for program in ("docker", "dockerd", "runc", "jq", "ldd"):
        needed(program)
        if shutil.which(program) is None:
            pytest.skip(f"NOT RUN: native: a real swarm ({program} is not installed on this machine itself)")
    reason = machine.why_not()
    if os.geteuid() != 0 or reason is not None:
        pytest.skip(f"NOT RUN: native: a real swarm ({reason})")
    async with swarm() as found:
        yield found


@pytest.fixture
async def coe(dockers: Swarm) -> AsyncIterator[SwarmMode]:
    """What the scaler opens: first a door where nobody answers, then the manager."""
    dialer = Dialer(EgressPolicy(allow=(ip_network("127.0.0.0/8"),)))
    ours = tls(dockers.authority.pem, ClientCertificate(*dockers.authority.issue("scaler")))
    doors = ("https://127.0.0.1:1", f"https://127.0.0.1:{dockers.manager.port}")
    found = SwarmMode([dialer.channel("docker", door, ours) for door in doors])
    yield found
    await found.close()


async def understood(coe: SwarmMode, look: Look) -> None:
    """What the manager says, as the scaler understands it."""
    node = named(look, "w0")
    assert (node.ready, node.open, node.manager, node.addresses) == (True, True, False, ("10.0.0.5",))
    assert named(look, "m0").manager
    assert node.capacity.cpu >= 1
    assert node.capacity.memory > 2**28
    assert {work.asks.memory for work in look.works if work.name.startswith("web.")} == {64 * 2**20}
    assert [work.node for work in look.works if work.name.startswith("each.") and work.stays].count(node.id) == 1
    (big,) = [work for work in look.works if work.name == "big.1"]
    assert big.node is None
    assert "insufficient resources" in big.waiting
    assert await coe.health() == {"api": "ok", "m0.Ready": "True", "w0.Ready": "True"}


async def test_a_worker_is_closed_drained_opened_and_forgotten(dockers: Swarm, coe: SwarmMode) -> None:
    manager = dockers.manager
    await manager.service("web", "--replicas", "2", "--reserve-memory", "64MB", "--update-parallelism", "1")
    await manager.service("each", "--mode", "global")
    await manager.service("big", "--reserve-cpu", "500")
    await manager.service("once", "--restart-condition", "none", "--constraint", "node.hostname == w0")
    look = await seen(coe, lambda look: on(look, "w0") == ["once.1", "web"] and on(look, "m0") == ["web"])

    await understood(coe, look)
    node = named(look, "w0")
    with pytest.raises(CloudError, match="manages the swarm"):
        await coe.close_nodes([named(look, "m0")], MARK)

    # Closed, nothing new comes; while a task would be lost, nothing is stopped.
    await coe.close_nodes([node], MARK)
    await coe.close_nodes([node], MARK)
    assert await manager.run("node", "inspect", "w0", "--format", "{{.Spec.Availability}}") == "pause"
    assert not named(await coe.look(), "w0").open
    blockers = await coe.drain([node], force=False)
    assert [one.work for one in blockers] == ["once.1"]
    assert "nobody would start it again" in blockers[0].reason
    assert on(await coe.look(), "w0") == ["once.1", "web"]

    # Without it, the other one moves.
    await manager.run("service", "rm", "once")
    await until(lambda: drained(coe, node))
    look = await seen(coe, lambda look: on(look, "m0") == ["web", "web"])
    assert on(look, "w0") == []
    assert {one["Node"] for one in await manager.tasks("web")} == {"m0"}
    with pytest.raises(CloudError, match="has not noticed yet that w0 is gone") as refused:
        await coe.forget([node])
    assert refused.value.retryable

    # Another operation's node stays closed; ours is opened, and takes work again.
    await coe.open_nodes([node], "another")
    assert not named(await coe.look(), "w0").open
    await coe.open_nodes([node], MARK)
    look = await coe.look()
    assert named(look, "w0").open
    assert named(look, "w0").labels == {}
    await manager.run("service", "scale", "--detach", "web=3")
    await seen(coe, lambda look: on(look, "w0") == ["web"])

    # A node that leaves is forgotten when the manager has noticed.
    await dockers.worker.run("swarm", "leave")
    await seen(coe, lambda look: not named(look, "w0").ready)
    assert (await coe.health())["w0.Ready"] == "False"
    await coe.forget([node])
    await coe.forget([node])
    assert [one.name for one in (await coe.look()).nodes] == ["m0"]
    await coe.close_nodes([node], MARK)  # gone is as good as closed
    assert await coe.drain([node], force=False) == []


async def test_what_cannot_be_placed_is_not_stopped_unless_forced(dockers: Swarm, coe: SwarmMode) -> None:
    manager = dockers.manager
    await manager.service("bound", "--constraint", "node.hostname == w0", "--reserve-memory", "64MB")
    node = named(await seen(coe, lambda look: on(look, "w0") == ["bound.1"]), "w0")
    await manager.run("node", "update", "--availability", "pause", "w0")
    await coe.close_nodes([node], MARK)
    (blocker,) = await coe.drain([node], force=False)
    assert blocker.told() == "bound.1 (no other node that takes work has room for it; it reserves 64 MiB)"
    assert await manager.run("node", "inspect", "w0", "--format", "{{.Spec.Availability}}") == "pause"
    await until(lambda: drained(coe, node, force=True))
    (waiting,) = (await seen(coe, lambda look: any(work.waiting for work in look.works))).works
    assert waiting.waiting.startswith("no suitable node")
    (blocker,) = await coe.drain([node], force=False)
    assert blocker.reason == waiting.waiting

    # It was a person who closed it first, so it goes back to what they had made of it.
    await coe.open_nodes([node], MARK)
    assert await manager.run("node", "inspect", "w0", "--format", "{{.Spec.Availability}}") == "pause"
    assert named(await coe.look(), "w0").labels == {}

    # An update in between is no conflict for long.
    await asyncio.gather(*(coe.close_nodes([node], mark) for mark in ("a", "b", "c")))
    assert named(await coe.look(), "w0").labels["jeroboam.closed-by"] in {"a", "b", "c"}


async def drained(coe: SwarmMode, node: CoeNode, *, force: bool = False) -> bool:
    """Whether nothing holds it up any more."""
    return not await coe.drain([node], force=force)


def named(look: Look, name: str) -> CoeNode:
    """A node by its host name."""
    return next(one for one in look.nodes if one.name == name)


def on(look: Look, name: str) -> list[str]:
    """What runs there and would have to be moved, `web`'s without their slots."""
    works = [work.name for work in look.on(named(look, name))]
    return sorted("web" if one.startswith("web.") else one for one in works)


async def seen(coe: SwarmMode, holds: Callable[[Look], bool]) -> Look:
    """The first look of which that holds."""
    look = await coe.look()
    async with asyncio.timeout(LIMIT):
        while not holds(look):
            await asyncio.sleep(0.2)
            look = await coe.look()
    return look


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(LIMIT):
        while not await holds():
            await asyncio.sleep(0.2)
