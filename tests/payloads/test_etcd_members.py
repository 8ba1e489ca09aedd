"""How masters come into a cluster of etcd that stands, and leave it, against members that speak as etcd does."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.payloads.tools import needed

LIBRARY = Path(__file__).parents[2] / "shared/drivers/etcd/payload/etcd-members.master"
STUB = """set -eu
address_in_url() { printf '%s' "$1"; }
fail() { echo "$*" >&2; exit 1; }
"""
_NUMBERS = itertools.count(1)


@dataclass
class Cluster:
    """Members by ID; `ill` are addresses that are not healthy, `changes` what was asked for."""

    version: str
    addresses: list[str]
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    ill: set[str] = field(default_factory=set)
    changes: list[str] = field(default_factory=list)

    def member(self, index: int, *, started: bool = True, learner: bool = False) -> str:
        """Another one; its ID."""
        number, address = str(17 + len(self.members)), self.addresses[index]
        self.members[number] = {
            "name": f"m-{index}" if started else "",
            "peerURLs": [f"http://{address}:2380"],
            "clientURLs": [f"http://{address}:2379"] if started else [],
            **({"isLearner": True} if learner else {}),
        }
        return number

    def answer(self, address: str, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Of the member at that address."""
        key = "ID" if self.version.startswith("3.5") else "id"
        match method, path.strip("/").split("/"):
            case "GET", ["version"]:
                return 200, {"etcdserver": self.version, "etcdcluster": self.version}
            case "GET", ["health"]:
                return (503, {"health": "false"}) if address in self.ill else (200, {"health": "true"})
            case ("POST", ["v3", "cluster", "member", "list"]) | ("GET", ["v2", "members"]):
                return 200, {"members": [{key: number, **one} for number, one in self.members.items()]}
            case ("POST", ["v3", "cluster", "member", "add"]) | ("POST", ["v2", "members"]):
                (url,) = body["peerURLs"]
                learner = body.get("isLearner", False)
                if any(one["peerURLs"] == [url] for one in self.members.values()):
                    return 409, {}
                if learner and any(one.get("isLearner") for one in self.members.values()):
                    return 400, {"error": "too many learner members in cluster"}
                index = self.addresses.index(url.split("//")[1].split(":")[0])
                self.member(index, started=False, learner=learner)
                self.changes.append(f"{'learner' if learner else 'voter'} {index}")
                return 200, {}
            case "POST", ["v3", "cluster", "member", "remove"]:
                return self._remove(body["ID"])
            case "DELETE", ["v2", "members", number]:
                return self._remove(number)
            case "POST", ["v3", "cluster", "member", "promote"]:
                del self.members[body["ID"]]["isLearner"]
                self.changes.append(f"vote {body['ID']}")
                return 200, {}
            case _:
                return 404, {}

    def _remove(self, number: str) -> tuple[int, Any]:
        del self.members[number]
        self.changes.append(f"gone {number}")
        return 200, {}


@contextmanager
def served(cluster: Cluster, *up: int) -> Iterator[None]:
    """The members of these indices answer."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = str(self.request.getsockname()[0])
            status, answer = cluster.answer(address, self.command, self.path, json.loads(text or b"{}"))
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the standard library's names

        @override
        def log_message(self, *_: object) -> None:
            """Nothing."""

    servers = [ThreadingHTTPServer((cluster.addresses[index], 2379), Handler) for index in up]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(params=["3.5.12", "3.3.27"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    number = next(_NUMBERS)
    return Cluster(request.param, [f"127.{os.getpid() % 200 + 20}.{number}.{index + 1}" for index in range(3)])


def shell(cluster: Cluster, me: int, script: str, masters: int = 3) -> subprocess.CompletedProcess[str]:
    """On the master of that index, where nobody has TLS."""
    environment = {
        **os.environ,
        "JB_TLS": "false",
        "JB_NODE_NAME": f"m-{me}",
        "JB_PRIVATE_ADDRESS": cluster.addresses[me],
        "JB_MASTER_ADDRESSES": ",".join(cluster.addresses[:masters]),
    }
    command = [needed("dash"), "-c", f"{STUB}. {LIBRARY}\n{script}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


JOIN = 'etcd_let_in >/dev/null && echo "$jb_cluster"'


def is_modern(cluster: Cluster) -> bool:
    return cluster.version.startswith("3.5")


def test_one_that_comes_is_let_in_once_and_votes_when_it_may(cluster: Cluster) -> None:
    cluster.member(0)
    with served(cluster, 0):
        for _ in range(2):  # it may be killed and do it again
            done = shell(cluster, 1, JOIN, masters=2)
            urls = [f"http://{one}:2380" for one in cluster.addresses]
            assert (done.returncode, done.stdout) == (0, f"m-0={urls[0]},m-1={urls[1]}\n"), done.stderr
        assert cluster.changes == ["learner 1" if is_modern(cluster) else "voter 1"]
        cluster.members["18"] |= {"name": "m-1", "clientURLs": ["x"]}
        for _ in range(2):
            assert shell(cluster, 1, "etcd_votes", masters=2).returncode == 0
        assert cluster.changes[1:] == (["vote 18"] if is_modern(cluster) else [])


def test_one_whose_data_is_lost_is_another_member(cluster: Cluster) -> None:
    for index in range(3):
        cluster.member(index)
    with served(cluster, 0, 1):
        assert shell(cluster, 2, JOIN).returncode == 0
    assert cluster.changes == ["gone 19", "learner 2" if is_modern(cluster) else "voter 2"]


def test_nobody_comes_or_leaves_while_another_is_ill(cluster: Cluster) -> None:
    cluster.member(0)
    cluster.member(1)
    cluster.ill = {cluster.addresses[1]}
    with served(cluster, 0, 1):
        assert shell(cluster, 2, JOIN).returncode == 1
        done = shell(cluster, 0, f"etcd_dismiss {cluster.addresses[0]}")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            1,
            "another master's etcd is not healthy, so that none may leave",
        )
        assert cluster.changes == []
        # The ill one may.
        assert shell(cluster, 0, f"etcd_dismiss {cluster.addresses[1]}").returncode == 0
    assert cluster.changes == ["gone 18"]


def test_who_leaves_is_taken_out_once(cluster: Cluster) -> None:
    for index in range(3):
        cluster.member(index)
    with served(cluster, 0, 1, 2):
        for _ in range(2):
            assert shell(cluster, 2, f"etcd_dismiss {cluster.addresses[2]}").returncode == 0
    assert cluster.changes == ["gone 19"]


def test_a_learner_that_never_came_up_makes_room(cluster: Cluster) -> None:
    if not is_modern(cluster):
        pytest.skip("before 3.4 there are no learners")
    cluster.member(0)
    cluster.member(2, started=False, learner=True)
    with served(cluster, 0):
        assert shell(cluster, 1, JOIN, masters=2).returncode == 0
    assert cluster.changes == ["gone 18", "learner 1"]


def test_in_a_new_bay_there_is_no_cluster_yet(cluster: Cluster) -> None:
    me = cluster.addresses[0]
    assert shell(cluster, 0, f"etcd_stands {me}").returncode == 1
    assert shell(cluster, 0, f"etcd_stands {me}", masters=1).returncode == 1
    cluster.version = "not_decided"
    with served(cluster, 1):
        assert shell(cluster, 0, f"etcd_stands {me}").returncode == 1
        assert shell(cluster, 0, "etcd_is_stranger").returncode == 1


def test_one_that_began_alone_sees_that_it_is_a_stranger(cluster: Cluster) -> None:
    cluster.member(0)
    with served(cluster, 0):
        assert shell(cluster, 1, "etcd_is_stranger").returncode == 0
        cluster.member(1, started=False)
        assert shell(cluster, 1, "etcd_is_stranger").returncode == 1
