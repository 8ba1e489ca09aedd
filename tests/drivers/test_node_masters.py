"""The node agent of a master hears of the others: who they are, who leaves, and what its driver does about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.agent_api import REPORT, SELF, Api, Reply, served
from tests.drivers.agent_node import AGENT, Node

NEEDED = ("dash", "bash", "curl", "jq", "openssl")
pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in NEEDED),
    reason=f"NOT RUN: the node agent's tests need {', '.join(NEEDED)} on this machine",
)
TAKE_MASTERS = AGENT.parents[1] / "etcd/payload/take-masters.master"
ME, OTHER = "10.0.0.5", "10.0.0.6"


@pytest.fixture
def api() -> Iterator[Api]:
    with served(Api()) as running:
        yield running


@pytest.fixture(params=["dash", "bash"])
def node(tmp_path: Path, api: Api, request: pytest.FixtureRequest) -> Node:
    """A master of two, with its first certificate and a driver that notes what it is told to do."""
    made = Node(tmp_path, api, request.param)
    made.prepare(JB_ROLE="master", JB_PRIVATE_ADDRESS=ME, JB_MASTER_ADDRESSES=f"{ME},{OTHER}")
    shutil.copy(TAKE_MASTERS, tmp_path / "conf/take-masters")
    for name in ("leave-node", "join-node", "masters-changed"):
        (tmp_path / "conf" / name).write_text(f"echo {name} $@ >>{tmp_path}/calls\n")
    assert made.run("first-certificate").returncode == 0
    (tmp_path / "calls").unlink()
    wish(api)
    return made


def wish(api: Api, masters: tuple[str, ...] = (ME, OTHER), leaving: str | None = None) -> None:
    """What the API says from now on."""
    api.wishes = {"revision": "7", "ca_pem": api.kubernetes.pem, "renew": False, "operation_active": False}
    api.wishes |= {"masters": list(masters), "leaving": leaving}


def done(node: Node) -> list[str]:
    """What the driver has done since it was asked last."""
    path = node.root / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.strip() for line in lines if line.startswith(("leave", "join", "masters"))]


def said(api: Api) -> Any:
    """What the last report says of it."""
    return api.bodies(REPORT)[-1]["parted"]


def test_it_knows_the_masters_and_stays_as_old_as_it_is(node: Node, api: Api) -> None:
    environment = node.root / "conf/bay.env"
    os.utime(environment, (1000, 1000))
    wish(api, (ME, OTHER, "10.0.0.7"))
    assert node.run("run").returncode == 0
    assert f"JB_MASTER_ADDRESSES='{ME},{OTHER},10.0.0.7'\n" in environment.read_text()
    assert environment.stat().st_mtime == 1000, "waits of a first boot would begin anew"
    assert (done(node), said(api)) == (["masters-changed"], None)
    assert node.run("run").returncode == 0
    assert done(node) == []


def test_it_leaves_says_so_and_comes_back_when_it_was_kept(node: Node, api: Api) -> None:
    wish(api, (OTHER,), ME)
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == ([f"leave-node {ME}"], ME)
    wish(api, (), None)  # not known any more: its server is being removed
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == ([], ME)
    wish(api)
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == (["join-node", "masters-changed"], None)


def test_it_takes_another_out(node: Node, api: Api) -> None:
    wish(api, (ME,), OTHER)
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == ([f"leave-node {OTHER}", "masters-changed"], OTHER)
    wish(api, (ME,))
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == ([], None)


def test_what_fails_is_told_and_tried_again(node: Node, api: Api) -> None:
    script = node.root / "conf/leave-node"
    good = script.read_text()
    script.write_text("echo 'etcd on m-1 is not healthy' >&2; exit 1\n")
    wish(api, (OTHER,), ME)
    assert node.run("run").returncode == 1
    report = api.bodies(REPORT)[-1]
    assert (report["healthy"], report["problem"]) == (False, "leave-node: etcd on m-1 is not healthy")
    assert report["parted"] is None
    script.write_text(good)
    assert node.run("run").returncode == 0
    assert (done(node), said(api)) == ([f"leave-node {ME}"], ME)


@pytest.mark.parametrize("odd", ["10.0.0.5'; touch /tmp/x; '", "$(id)", "a b", "10.0.0.5\nx"])
def test_odd_addresses_reach_nobody(node: Node, api: Api, odd: str) -> None:
    before = (node.root / "conf/bay.env").read_text()
    for masters, leaving in (((ME, odd), None), ((ME,), odd)):
        wish(api, masters, leaving)
        assert node.run("run").returncode == 1
        assert "those are none" in str(api.bodies(REPORT)[-1]["problem"])
    assert ((node.root / "conf/bay.env").read_text(), done(node)) == (before, [])


def test_masters_that_come_and_go_within_one_run(node: Node, api: Api) -> None:
    """The agent goes on while the operation does, and what it has read at its start is old by then."""

    def of(*masters: str) -> Reply:
        wish(api, masters)
        return 200, {**api.wishes, "operation_active": True}, {"ETag": f'"{len(masters)}"'}

    api.scripted[SELF] = [of(ME, OTHER, "10.0.0.7"), of(ME, OTHER)]
    wish(api)
    assert node.run("run").returncode == 0
    assert f"JB_MASTER_ADDRESSES='{ME},{OTHER}'\n" in (node.root / "conf/bay.env").read_text()
    assert done(node) == ["masters-changed", "masters-changed"]
