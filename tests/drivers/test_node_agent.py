"""The node agent against a real HTTP server on the loopback that checks its signatures, with real authorities."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.domain.node_profiles import NODE, PROFILES
from tests.drivers.agent_api import FIRST, REPORT, SECRET, SELF, SERVER_ID, Api, refusal, served
from tests.drivers.agent_node import AGENT, Node, killed_runs
from tests.drivers.agent_pki import Authority, someone_elses_csr

NEEDED = ("dash", "bash", "curl", "jq", "openssl")
pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in NEEDED),
    reason=f"NOT RUN: the node agent's tests need {', '.join(NEEDED)} on this machine",
)

MASTER: Mapping[str, str] = {name: profile.authority for name, profile in PROFILES.items() if name != NODE}
SERVICE_ACCOUNT = {
    "service-account.key": "-----BEGIN RSA PRIVATE KEY-----\nMIIBsecret\n-----END RSA PRIVATE KEY-----\n"
}

NOTHING_MORE = {"credential_generation": None, "next_within": 240, "parted": None, "problem": None}


@pytest.fixture
def api() -> Iterator[Api]:
    with served(Api()) as running:
        yield running


@pytest.fixture(params=["dash", "bash"])
def node(tmp_path: Path, api: Api, request: pytest.FixtureRequest) -> Node:
    """A worker."""
    made = Node(tmp_path, api, request.param)
    made.prepare()
    return made


@pytest.fixture(params=["dash", "bash"])
def master(tmp_path: Path, api: Api, request: pytest.FixtureRequest) -> Node:
    """A master with every profile that there is, and a service account's key to share."""
    api.profiles = MASTER
    api.shared = SERVICE_ACCOUNT
    made = Node(tmp_path, api, request.param)
    made.prepare(JB_ROLE="master", JB_NODE_KEY="rsa2048")
    return made


@pytest.fixture
def ready(node: Node, api: Api) -> Node:
    """A worker with its first certificate."""
    assert node.run("first-certificate").returncode == 0
    api.asked.clear()
    (node.root / "calls").unlink()
    api.wishes = {"revision": "7", "ca_pem": api.kubernetes.pem, "renew": False, "operation_active": False}
    return node


def test_agent_is_short() -> None:
    assert len(AGENT.read_text().splitlines()) <= 250


def test_first_certificate_after_a_wait(node: Node, api: Api) -> None:
    api.scripted[FIRST] = [refusal(503, "later")]
    done = node.run("first-certificate")
    assert done.returncode == 0, done.stderr
    first, second = api.bodies(FIRST)
    assert first == second
    assert (first["server_id"], first["secret"], first["role"]) == (SERVER_ID, SECRET, "worker")
    names = node.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web-1-minion-0"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.5", "127.64.0.5"]
    assert isinstance(node.certificate().public_key(), ec.EllipticCurvePublicKey)
    assert node.calls == ["installed", "try-restart kubelet"]
    assert SECRET not in done.stderr + done.stdout
    node.check_files()
    node.check_tidy()


def test_a_master_has_all_its_certificates_and_what_masters_share(master: Node) -> None:
    done = master.run("first-certificate")
    assert done.returncode == 0, done.stderr
    key = master.certificate().public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert {path.stem for path in (master.pki / "certificates").iterdir()} == MASTER.keys()
    assert {path.stem for path in (master.pki / "authorities").iterdir()} == {"kubernetes", "etcd", "front_proxy"}
    master.check_files()
    master.check_tidy()


def test_a_second_boot_asks_for_nothing(node: Node, api: Api) -> None:
    assert node.run("first-certificate").returncode == 0
    assert node.run("first-certificate").returncode == 0
    assert len(api.bodies(FIRST)) == 1
    assert node.calls.count("installed") == 2


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_refusal_ends_with_the_reason(node: Node, api: Api, status: int) -> None:
    api.scripted[FIRST] = [refusal(status, "The secret\ndoes not match.")]
    assert node.run("first-certificate").returncode == 1
    assert len(api.bodies(FIRST)) == 1
    assert node.reason() == f"certificate refused ({status}): The secret does not match."


OTHER = Authority("other")
Change = Callable[[dict[str, Any], str], None]


def changed(where: str, value: Callable[[str], str]) -> Change:
    """An answer in which one entry, `certificates/etcd` for example, is another."""

    def change(answer: dict[str, Any], csr: str) -> None:
        folder, _, name = where.rpartition("/")
        (answer[folder] if folder else answer)[name] = value(csr)

    return change


def expired(api: Api) -> Change:
    return changed("pem", lambda csr: api.kubernetes.sign(csr, days=-1))


def self_signed(answer: dict[str, Any], _: str) -> None:
    answer["pem"] = OTHER.pem


REFUSED: dict[str, tuple[Callable[[Api], Change], str]] = {
    "foreign authority": (lambda _: changed("pem", OTHER.sign), "node.crt is not from this bay's authority"),
    "expired": (expired, "node.crt is not from this bay's authority"),
    "self-signed": (lambda _: self_signed, "node.crt is for another key"),
    "another key": (lambda api: changed("pem", lambda _: api.kubernetes.sign(someone_elses_csr())), "for another key"),
    "no certificate": (lambda _: changed("pem", lambda _: "hello"), "node.crt is no certificate"),
    "nothing": (lambda _: lambda answer, _: answer.clear(), "was born to trust"),
    "another authority": (lambda _: changed("authorities/kubernetes", lambda _: OTHER.pem), "was born to trust"),
    "etcd's from Kubernetes' authority": (
        lambda api: changed("certificates/etcd", api.kubernetes.sign), "etcd.crt is not from",
    ),
    "admin's from etcd's authority": (lambda api: changed("certificates/admin", api.etcd.sign), "not from this bay"),
    "front proxy's for another key": (
        lambda api: changed("certificates/front-proxy-client", lambda _: api.front_proxy.sign(someone_elses_csr())),
        "front-proxy-client.crt is for another key",
    ),
    "a name that leads elsewhere": (lambda api: changed("certificates/..", api.kubernetes.sign), "odd name"),
    "sealed for another": (lambda _: changed("shared", lambda _: "garbage"), "cannot be opened"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_an_answer_with_one_wrong_part_is_not_taken_at_all(master: Node, api: Api, case: str) -> None:
    make, reason = REFUSED[case]
    api.change_answer = make(api)
    assert master.run("first-certificate").returncode == 1
    assert reason in master.reason()
    assert not (master.pki / "node.crt").exists()
    assert not list(master.pki.glob("set.*"))
    assert master.calls == []


def test_a_look_reports_health_and_revision_and_the_next_one_is_304(ready: Node, api: Api) -> None:
    assert ready.run("run").returncode == 0
    assert ready.run("run").returncode == 0
    report = {"healthy": True, "revision": "7", "units": {"docker": "active", "kubelet": "active"}}
    assert api.bodies(REPORT) == [report | NOTHING_MORE] * 2
    first, second = api.of(SELF)
    assert first.headers.get("If-None-Match") != second.headers["If-None-Match"]
    assert all(request.proven for request in api.asked if request.line in (SELF, REPORT))
    assert ready.calls == []


def test_a_unit_that_is_down_is_reported(ready: Node, api: Api) -> None:
    (ready.root / "bin/systemctl").write_text(
        "#!/bin/sh\n[ $2 = docker ] && echo active && exit\necho failed\nexit 3\n"
    )
    assert ready.run("run").returncode == 0
    report = {"healthy": False, "revision": "7", "units": {"docker": "active", "kubelet": "failed"}}
    assert api.bodies(REPORT) == [report | NOTHING_MORE]


def test_a_renewal_has_a_new_key_and_no_secret_and_restarts_the_units(ready: Node, api: Api) -> None:
    before = ready.certificate()
    api.wishes |= {"renew": True}
    assert ready.run("run").returncode == 0
    (request,) = [request for request in api.of(FIRST) if request.proven]
    assert "secret" not in request.json
    assert ready.certificate().public_key() != before.public_key()
    assert ready.calls == ["installed", "try-restart kubelet", "checked"]
    ready.check_files()
    ready.check_tidy()


def test_a_master_renews_and_keeps_what_masters_share(master: Node, api: Api) -> None:
    assert master.run("first-certificate").returncode == 0
    api.shared, kept = {}, api.shared
    api.wishes = {"revision": "8", "renew": True}
    assert master.run("run").returncode == 0
    assert len(api.issued) == 2
    api.shared = kept
    master.check_files()
    master.check_tidy()


def test_new_authorities_of_each_kind_are_taken(ready: Node, api: Api) -> None:
    both = api.kubernetes.pem + Authority("next").pem
    api.wishes |= {"ca_pem": both, "authorities": {"etcd": OTHER.pem}}
    assert ready.run("run").returncode == 0
    assert (ready.pki / "ca.crt").read_text() == both
    assert (ready.pki / "authorities/etcd.crt").read_text() == OTHER.pem
    assert ready.calls == ["installed", "try-restart kubelet", "checked"]
    ready.check_tidy()


def test_authorities_and_a_renewal_in_one_look(ready: Node, api: Api) -> None:
    api.before, api.kubernetes = api.kubernetes, Authority("next")
    api.wishes |= {"authorities": {"kubernetes": api.before.pem + api.kubernetes.pem}, "renew": True}
    assert ready.run("run").returncode == 0
    assert api.kubernetes.signed(ready.certificate())
    assert ready.calls == ["installed", "try-restart kubelet", "checked"]


def test_authorities_that_are_none_change_nothing(ready: Node, api: Api) -> None:
    api.wishes |= {"ca_pem": "hello"}
    assert ready.run("run").returncode == 1
    ready.check_files()


def test_a_failed_renewal_is_tried_again_next_time(ready: Node, api: Api) -> None:
    old = ready.certificate()
    api.wishes |= {"renew": True}
    api.scripted[FIRST] = [refusal(503, "")]
    assert ready.run("run").returncode == 1
    assert ready.certificate() == old
    assert ready.run("run").returncode == 0
    assert ready.certificate() != old


def test_an_api_that_is_away_changes_nothing(ready: Node, api: Api) -> None:
    api.scripted[SELF] = [refusal(503, "")]
    assert ready.run("run").returncode == 0
    assert ready.calls == []


def test_where_nobody_answers_the_bays_proxy_is_asked(node: Node, api: Api) -> None:
    """Port 9 of an address that nobody has stands for an API behind a wall; the test's server is the proxy."""
    environment = node.root / "conf/bay.env"
    environment.write_text(environment.read_text().replace(api.url, "http://127.99.99.99:9"))
    (node.root / "conf/proxy.env").write_text(f'http_proxy="{api.url}"\n')
    done = node.run("first-certificate")
    assert done.returncode == 0, done.stderr
    api.wishes = {"revision": "1"}
    assert node.run("run").returncode == 0
    assert [request.proven for request in api.of(SELF)] == [True]


def fresh(node: Node, api: Api) -> None:
    shutil.rmtree(node.root / "state", ignore_errors=True)
    (node.root / "state").mkdir()
    (node.root / "calls").unlink(missing_ok=True)
    api.issued.clear()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_killed_at_any_point_of_its_first_certificate(tmp_path: Path, api: Api, shell: str) -> None:
    """What is there is whole at once; the next run sends the same CSR, gets the same answer and cleans up."""
    api.profiles = {"apiserver": "kubernetes", "etcd": "etcd"}
    node = Node(tmp_path, api, shell)
    node.prepare()
    points = []
    for point in killed_runs(node, "first-certificate", 3, lambda: fresh(node, api)):
        points.append(point)
        if (node.pki / "node.crt").exists():
            node.check_files()
        again = node.run("first-certificate")
        assert again.returncode == 0, (point, again.stderr)
        assert "installed" in node.calls
        assert len(api.issued) == 1
        node.check_files()
        node.check_tidy()
    assert points[-1] > 40


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_killed_at_any_point_of_a_renewal(tmp_path: Path, api: Api, shell: str) -> None:
    """Old or new, and never a mixture; the next run brings what is current to the services."""
    node = Node(tmp_path, api, shell)
    node.prepare()
    assert node.run("first-certificate").returncode == 0
    before = node.certificate()
    shutil.copytree(node.root / "state", node.root / "before", symlinks=True)
    api.before, api.kubernetes = api.kubernetes, Authority("kubernetes")

    def prepare() -> None:
        fresh(node, api)
        shutil.copytree(node.root / "before", node.root / "state", symlinks=True, dirs_exist_ok=True)
        both = {"kubernetes": api.before.pem + api.kubernetes.pem, "etcd": OTHER.pem} if api.before else {}
        api.wishes = {"revision": "2", "renew": True, "authorities": both}

    for point in killed_runs(node, "run", 9, prepare):
        node.check_files()
        api.wishes |= {"renew": node.certificate() == before}
        again = node.run("run")
        assert again.returncode == 0, (point, again.stderr)
        assert node.certificate() != before
        assert (node.root / "state/installed").read_text().strip() == (node.pki / "current").readlink().name
        assert len(api.issued) == 1
        node.check_files()
        node.check_tidy()
