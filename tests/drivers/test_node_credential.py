"""The node agent takes another cloud credential: whole or not at all, the driver told, then reported."""

from __future__ import annotations

import json
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from shared.pki_client import sealed_for
from tests.drivers.agent_api import CREDENTIAL, REPORT, SELF, Api, refusal, served
from tests.drivers.agent_node import TAKE_CREDENTIAL, Node, killed_runs
from tests.drivers.cases import tool

NEEDED = ("dash", "bash", "curl", "jq", "openssl")
pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in NEEDED),
    reason=f"NOT RUN: the node agent's tests need {', '.join(NEEDED)} on this machine",
)
OLD = ("first-id", "first-secret")
NEW = ("2d1f", 'it\'s $HOME `id` \\ "quoted"')


@pytest.fixture
def api() -> Iterator[Api]:
    with served(Api()) as running:
        yield running


@pytest.fixture(params=[("dash", "ec-p256"), ("bash", "rsa2048")], ids="-".join)
def node(tmp_path: Any, api: Api, request: pytest.FixtureRequest) -> Node:
    """A node that was born with a credential, with its first certificate and a driver that wants to be told."""
    made = Node(tmp_path, api, request.param[0])
    made.prepare(JB_NODE_KEY=request.param[1])
    born(made)
    assert made.run("first-certificate").returncode == 0
    api.asked.clear()
    offer(api, 2)
    return made


def born(node: Node) -> None:
    conf = node.root / "conf"
    shutil.copy(TAKE_CREDENTIAL, conf / "take-credential")
    values = zip(("ID", "SECRET"), OLD, strict=True)
    (conf / "cloud-credential").write_text("".join(f"JB_APPLICATION_CREDENTIAL_{name}={it}\n" for name, it in values))
    (conf / "cloud-credential").chmod(0o600)
    (conf / "install-credential").write_text(f"echo credential >>{node.root}/calls\n")


def offer(api: Api, generation: int, credential: tuple[str, str] = NEW) -> None:
    """What the API says and serves from now on."""
    content = {"id": credential[0], "secret": credential[1], "generation": generation}
    api.wishes = {"revision": "7", "ca_pem": api.kubernetes.pem, "renew": False, "credential_generation": generation}
    api.credential = lambda pem: {"generation": generation, "sealed": sealed_for(pem, to_json(content))}


def to_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def credential_of(node: Node) -> tuple[str, str]:
    """As every script of the node reads it."""
    file = node.root / "conf/cloud-credential"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = '"$JB_APPLICATION_CREDENTIAL_ID" "$JB_APPLICATION_CREDENTIAL_SECRET"'
    told = f". {shlex.quote(str(file))}; printf '%s\\n%s' {names}"
    text = subprocess.run([tool("dash"), "-c", told], capture_output=True, text=True, check=True).stdout
    identity, _, secret = text.partition("\n")
    return identity, secret


def reported(api: Api) -> list[int | None]:
    return [body["credential_generation"] for body in api.bodies(REPORT)]


def test_it_is_taken_once_and_then_reported(node: Node, api: Api) -> None:
    done = node.run("run")
    assert done.returncode == 0, done.stderr
    assert credential_of(node) == NEW
    assert node.run("run").returncode == 0
    assert reported(api) == [2, 2]
    assert len(api.of(CREDENTIAL)) == 1
    assert all(request.proven for request in api.of(CREDENTIAL))
    assert node.calls.count("credential") == 1
    assert NEW[1] not in done.stderr + done.stdout
    node.check_tidy()
    offer(api, 3, ("id-3", "secret-3"))
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)[-1]) == (("id-3", "secret-3"), 3)


def test_an_earlier_one_is_not_taken(node: Node, api: Api) -> None:
    offer(api, 3)
    assert node.run("run").returncode == 0
    offer(api, 2, ("id-2", "secret-2"))
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (NEW, [3, 3])


def test_a_mark_that_a_crash_left_empty(node: Node, api: Api) -> None:
    """The node still reports, and takes it again."""
    mark = node.root / "state/credential"
    mark.write_text("")
    sealed, api.credential = api.credential, lambda pem: None
    assert node.run("run").returncode == 0
    assert reported(api) == [None]
    api.credential = sealed
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api), mark.read_text()) == (NEW, [None, 2], "2\n")


def test_a_driver_without_a_wish_to_be_told(node: Node, api: Api) -> None:
    (node.root / "conf/install-credential").unlink()
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (NEW, [2])


def test_a_node_without_a_credential_takes_none(node: Node, api: Api) -> None:
    for name in ("take-credential", "cloud-credential"):
        (node.root / "conf" / name).unlink()
    assert node.run("run").returncode == 0
    assert (api.of(CREDENTIAL), reported(api)) == ([], [None])
    assert not (node.root / "conf/cloud-credential").exists()


def test_what_the_driver_could_not_install_is_not_reported_and_tried_again(node: Node, api: Api) -> None:
    hook = node.root / "conf/install-credential"
    works = hook.read_text()
    hook.write_text("exit 1\n")
    done = node.run("run")
    assert (done.returncode, reported(api)) == (0, [None])
    assert "could not be installed" in done.stderr
    hook.write_text(works)
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api), node.calls.count("credential")) == (NEW, [None, 2], 1)


LETTERS: dict[str, Any] = {
    "for another key": lambda api, pem: {"generation": 2, "sealed": sealed_for(api.etcd.pem, b"{}")},
    "no CMS": lambda api, pem: {"generation": 2, "sealed": "hello"},
    "no JSON": lambda api, pem: {"generation": 2, "sealed": sealed_for(pem, b"hello")},
    "no secret": lambda api, pem: {"generation": 2, "sealed": sealed_for(pem, b'{"id": "x", "generation": 2}')},
    "no texts": lambda api, pem: {"generation": 2, "sealed": sealed_for(pem, b'{"id": 1, "secret": ["x"]}')},
    "none": lambda api, pem: None,
}


@pytest.mark.parametrize("case", LETTERS)
def test_a_letter_that_is_none_changes_nothing_but_the_node_still_reports(node: Node, api: Api, case: str) -> None:
    api.credential = lambda pem: LETTERS[case](api, pem)
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (OLD, [None])
    assert "credential" not in node.calls
    offer(api, 2)
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (NEW, [None, 2])
    assert "If-None-Match" not in api.of(SELF)[-1].headers or api.of(SELF)[-1].headers["If-None-Match"] == "none"
    node.check_tidy()


def test_an_api_that_stumbles_is_asked_again(node: Node, api: Api) -> None:
    api.scripted[CREDENTIAL] = [refusal(503, "later")]
    assert node.run("run").returncode == 0
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (NEW, [None, 2])


def test_a_renewal_in_the_same_look_comes_first(node: Node, api: Api) -> None:
    """What was sealed for the old certificate cannot be opened any more; the API seals it again."""
    before = node.certificate()
    old = (node.pki / "node.crt").read_text()
    api.wishes |= {"renew": True}
    sealed = api.credential
    api.credential = lambda pem: sealed(pem) if pem == old else None
    assert node.run("run").returncode == 0
    assert node.certificate() != before
    assert (credential_of(node), reported(api)) == (OLD, [None, None]), "a report before the renewal, one after it"
    offer(api, 2)
    assert node.run("run").returncode == 0
    assert (credential_of(node), reported(api)) == (NEW, [None, None, 2])


@pytest.mark.timeout(600)
def test_killed_at_any_point(node: Node, api: Api) -> None:
    """Old or new, never half of it; the next run tells the driver and reports."""
    shutil.copytree(node.root / "state", node.root / "before", symlinks=True)

    def prepare() -> None:
        for name in ("state", "conf/cloud-credential.new"):
            path = node.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(node.root / "before", node.root / "state", symlinks=True)
        (node.root / "calls").unlink(missing_ok=True)
        born(node)
        api.asked.clear()

    points = []
    for point in killed_runs(node, "run", 5, prepare):
        points.append(point)
        assert credential_of(node) in (OLD, NEW), point
        told = reported(api)
        assert 2 not in told or "credential" in node.calls
        again = node.run("run")
        assert again.returncode == 0, (point, again.stderr)
        assert (credential_of(node), reported(api)[-1]) == (NEW, 2), point
        assert "credential" in node.calls, point
        node.check_tidy()
    assert points[-1] > 25
