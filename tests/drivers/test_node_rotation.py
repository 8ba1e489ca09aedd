"""The node agent while its bay's authorities are rotated: bundles of two authorities with the same name, what a newborn
trusts, and a node that is not well with what it was given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from shared.domain.node_profiles import NODE, PROFILES
from tests.drivers.agent_api import FIRST, REPORT, SELF, Api, Reply, refusal, served
from tests.drivers.agent_node import Node, issued_by
from tests.drivers.agent_pki import Authority

NEEDED = ("dash", "bash", "curl", "jq", "openssl")
pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in NEEDED),
    reason=f"NOT RUN: the node agent's tests need {', '.join(NEEDED)} on this machine",
)
KINDS = ("kubernetes", "etcd", "front_proxy")


@pytest.fixture
def api() -> Iterator[Api]:
    with served(Api()) as running:
        yield running


@pytest.fixture(params=["dash", "bash"])
def node(tmp_path: Path, api: Api, request: pytest.FixtureRequest) -> Node:
    """A master with certificates of every authority."""
    api.profiles = {name: profile.authority for name, profile in PROFILES.items() if name != NODE}
    made = Node(tmp_path, api, request.param)
    made.prepare(JB_ROLE="master")
    return made


@pytest.fixture
def ready(node: Node, api: Api) -> Node:
    assert node.run("first-certificate").returncode == 0
    (node.root / "calls").unlink()
    wish(api, "1", [now(api)])
    assert node.run("run").returncode == 0
    api.asked.clear()
    return node


Generation = dict[str, Authority]


def now(api: Api) -> Generation:
    """The authorities that sign."""
    return {kind: getattr(api, kind) for kind in KINDS}


def following(api: Api) -> Generation:
    """Others with the same names; from here on they sign."""
    api.before = api.kubernetes
    made = {"kubernetes": Authority("kubernetes"), "etcd": Authority("etcd"), "front_proxy": Authority("front proxy")}
    for kind, authority in made.items():
        setattr(api, kind, authority)
    return made


def wish(api: Api, revision: str, generations: Sequence[Generation], *, renew: bool = False) -> None:
    bundles = {kind: "".join(one[kind].pem for one in generations) for kind in KINDS}
    api.wishes = {"revision": revision, "renew": renew, "operation_active": False}
    api.wishes |= {"ca_pem": bundles["kubernetes"], "authorities": bundles}


def last(api: Api) -> dict[str, Any]:
    """The last report."""
    return api.bodies(REPORT)[-1]


def trusted(node: Node, kind: str) -> str:
    return (node.pki / "authorities" / f"{kind}.crt").read_text()


def test_a_rotation_from_its_first_phase_to_its_last(ready: Node, api: Api) -> None:
    old, new = now(api), following(api)
    mine = ready.certificate()
    wish(api, "both", [old, new])
    assert ready.run("run").returncode == 0
    assert ready.certificate() == mine
    assert {kind: trusted(ready, kind) for kind in KINDS} == {kind: old[kind].pem + new[kind].pem for kind in KINDS}
    assert (last(api)["revision"], last(api)["healthy"], last(api)["problem"]) == ("both", True, None)

    wish(api, "both", [old, new], renew=True)
    assert ready.run("run").returncode == 0
    assert issued_by(new["kubernetes"].certificate, ready.certificate())
    ready.check_files()
    wish(api, "both", [old, new])

    wish(api, "new", [new])
    assert ready.run("run").returncode == 0
    assert {kind: trusted(ready, kind) for kind in KINDS} == {kind: new[kind].pem for kind in KINDS}
    assert last(api)["revision"] == "new"
    assert ready.calls == ["installed", "try-restart kubelet", "checked"] * 3
    ready.check_files()
    ready.check_tidy()


def test_a_renewal_that_is_answered_with_an_old_certificate_is_asked_for_again(ready: Node, api: Api) -> None:
    """The same CSR gets the same answer for a while, and the wishes may well be the same as before."""
    wish(api, "both", [now(api)], renew=True)
    assert ready.run("run").returncode == 0
    first = ready.certificate()
    assert ready.run("run").returncode == 0
    assert ready.certificate() != first


def test_a_renewal_brings_no_authorities(ready: Node, api: Api) -> None:
    """They come with the wishes alone, since those say how far this node may go."""
    both = [now(api), {kind: Authority(kind) for kind in KINDS}]
    wish(api, "both", both, renew=True)
    assert ready.run("run").returncode == 0
    assert {kind: trusted(ready, kind) for kind in KINDS} == {
        kind: "".join(one[kind].pem for one in both) for kind in KINDS
    }


OLD, NEW, OTHER = Authority("kubernetes"), Authority("kubernetes"), Authority("kubernetes")


@pytest.mark.parametrize(
    ("born_to", "told", "expected"),
    [
        ([OLD, NEW], [NEW], [NEW]),
        ([OLD, NEW], [OLD, NEW], [OLD, NEW]),
        ([NEW], [OLD, NEW], [NEW]),
        ([OLD, NEW], [OTHER, NEW], [NEW]),
    ],
    ids=["after", "during", "born late", "a stranger"],
)
def test_a_newborn_trusts_what_both_its_stack_and_the_answer_name(
    node: Node, api: Api, born_to: list[Authority], told: list[Authority], expected: list[Authority]
) -> None:
    api.kubernetes = NEW
    text = "".join(one.pem for one in born_to).replace("\n", "\r\n")
    (node.root / "conf/ca.pem").write_text(text, newline="")
    api.change_answer = lambda answer, _: answer["authorities"].update(kubernetes="".join(one.pem for one in told))
    done = node.run("first-certificate")
    assert done.returncode == 0, done.stderr
    found = x509.load_pem_x509_certificates((node.pki / "ca.crt").read_bytes())
    assert found == [one.certificate for one in expected]
    node.check_files()


@pytest.mark.parametrize(
    ("told", "reason"),
    [([OTHER], "was born to trust"), ([], "kubernetes.crt is no certificate"), ([OLD], "node.crt is not from")],
)
def test_a_newborn_refuses_what_it_was_not_born_to_trust(
    node: Node, api: Api, told: list[Authority], reason: str
) -> None:
    api.kubernetes = NEW
    (node.root / "conf/ca.pem").write_text(OLD.pem)
    api.change_answer = lambda answer, _: answer["authorities"].update(kubernetes="".join(one.pem for one in told))
    assert node.run("first-certificate").returncode == 1
    assert reason in node.reason()
    assert not (node.pki / "node.crt").exists()


def test_a_node_that_is_not_well_says_so_until_it_is(ready: Node, api: Api) -> None:
    old, new = now(api), following(api)
    wish(api, "both", [old, new])
    ready.is_well("etcd has no majority")
    assert ready.run("run").returncode == 1
    problem = "with the new certificates: etcd has no majority"
    assert (last(api)["healthy"], last(api)["revision"], last(api)["problem"]) == (False, "1", problem)
    assert ready.run("run").returncode == 1
    ready.is_well()
    assert ready.run("run").returncode == 0
    assert (last(api)["healthy"], last(api)["revision"], last(api)["problem"]) == (True, "both", None)
    assert ready.calls.count("try-restart kubelet") == 1, "services are restarted again and again"
    ready.check_tidy()


def test_a_node_that_is_not_well_can_still_be_told_to_go_back(ready: Node, api: Api) -> None:
    old, new = now(api), following(api)
    wish(api, "both", [old, new])
    ready.is_well("kube-apiserver does not start")
    assert ready.run("run").returncode == 1
    wish(api, "1", [old])
    ready.is_well()
    assert ready.run("run").returncode == 0
    assert trusted(ready, "kubernetes") == old["kubernetes"].pem
    assert ready.calls.count("try-restart kubelet") == 2


def test_a_unit_that_does_not_come_back_is_a_problem(ready: Node, api: Api) -> None:
    wish(api, "both", [now(api), following(api)])
    (ready.root / "bin/systemctl").write_text("#!/bin/sh\n[ $2 = docker ] && echo active && exit\nexit 3\n")
    assert ready.run("run").returncode == 1
    assert last(api)["problem"] == "with the new certificates kubelet does not run"
    assert last(api)["revision"] == "1"


def test_a_refused_renewal_is_a_problem(ready: Node, api: Api) -> None:
    wish(api, "2", [now(api)], renew=True)
    api.scripted[FIRST] = [refusal(403, "The names are\nnot this server's.")]
    assert ready.run("run").returncode == 1
    assert last(api)["problem"] == "certificate refused (403): The names are not this server's."
    assert ready.calls == []


def garbled(pem: str) -> str:
    return pem.replace("M", "N", 1)


@pytest.mark.parametrize("second", [garbled(OTHER.pem), OTHER.pem[:300], "-----BEGIN CERTIFICATE-----"])
def test_an_odd_bundle_changes_nothing_and_is_a_problem(ready: Node, api: Api, second: str) -> None:
    wish(api, "2", [now(api)])
    api.wishes["authorities"]["etcd"] += second
    before = trusted(ready, "etcd")
    assert ready.run("run").returncode == 1
    assert last(api)["problem"] == "etcd.crt is no certificate"
    assert trusted(ready, "etcd") == before
    assert ready.calls == []


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_takes_its_own_authority_away_from_a_node(ready: Node, api: Api, kind: str) -> None:
    wish(api, "2", [now(api) | {kind: Authority(kind)}])
    assert ready.run("run").returncode == 1
    assert "is not from this bay's authority" in last(api)["problem"]
    assert trusted(ready, kind) == now(api)[kind].pem
    assert ready.calls == []


def test_a_look_that_failed_is_repeated_in_the_same_run(ready: Node, api: Api) -> None:
    wish(api, "2", [now(api)], renew=True)
    api.wishes["operation_active"] = True
    api.scripted[FIRST] = [refusal(503, "later")]

    def calm(answer: dict[str, Any], _: str) -> None:
        api.wishes = api.wishes | {"operation_active": False, "renew": False}

    api.change_answer = calm
    assert ready.run("run").returncode == 0
    failed = "no answer to the renewal (503): later"
    told = [(body["problem"], body["healthy"]) for body in api.bodies(REPORT)]
    before_renewals, after = [(None, True), (failed, False)], [(failed, False), (None, True)]
    assert told[:4] == [before_renewals[0], after[0], before_renewals[1], after[1]], (
        "a problem holds until a look is over"
    )
    assert len(api.of(SELF)) > 1


def active(api: Api) -> Reply:
    """The wishes, while an operation is on."""
    return 200, api.wishes | {"operation_active": True}, {"ETag": '"active"'}


def test_looks_go_on_while_an_operation_does(ready: Node, api: Api) -> None:
    """Random waits come before the first look, and where all nodes wait for the API."""
    wish(api, "2", [now(api)])
    away = refusal(503, "later")
    api.scripted[SELF] = [active(api), (304, {}, {}), away, away, active(api)]
    ready.dreams()
    assert ready.run("run", hurry=False).returncode == 0
    assert ready.slept == [10, 15, 15, 10, 15, 10, 15, 15]
    assert len(api.of(SELF)) == 6
    assert len(api.bodies(REPORT)) == 4, "a report for each look that found the API"


def test_without_an_operation_there_is_one_look(ready: Node, api: Api) -> None:
    ready.dreams()
    assert ready.run("run", hurry=False).returncode == 0
    assert (ready.slept, len(api.of(SELF))) == ([10], 1)


def test_who_was_not_heard_tries_again_at_once(ready: Node, api: Api) -> None:
    """Else an API that restarts would make nodes late, which are healed then."""
    ready.dreams()
    api.scripted[SELF] = [refusal(503, "later")]
    api.scripted[REPORT] = [refusal(503, "later")]
    assert ready.run("run", hurry=False).returncode == 0
    assert ready.slept == [10, 10, 15, 10, 15]
    assert (len(api.of(SELF)), len(api.bodies(REPORT))) == (3, 2)


@pytest.mark.parametrize("line", [SELF, REPORT])
def test_who_was_refused_has_been_heard_and_comes_with_the_timer(ready: Node, api: Api, line: str) -> None:
    """Else a node that the API does not know any more would ask it again and again."""
    ready.dreams()
    api.scripted[line] = [refusal(403, "no")] * 9
    assert ready.run("run", hurry=False).returncode == 0
    assert (ready.slept, len(api.of(line))) == ([10], 1)


def test_a_report_before_a_renewal_that_is_not_taken_is_made_up_for(ready: Node, api: Api) -> None:
    wish(api, "2", [now(api)], renew=True)
    api.scripted[REPORT] = [refusal(503, "later")]
    ready.dreams()
    assert ready.run("run", hurry=False).returncode == 0
    assert (ready.slept, last(api)["revision"], len(api.bodies(REPORT))) == ([10], "2", 2)


def test_a_problem_of_the_last_run_is_told_before_a_renewal(ready: Node, api: Api) -> None:
    """A node that fails again and again would seem well in between, and would never be healed."""
    wish(api, "2", [now(api)], renew=True)
    api.scripted[FIRST] = [refusal(503, "later")] * 2
    for _ in range(2):
        assert ready.run("run").returncode == 1
    assert [body["problem"] is None for body in api.bodies(REPORT)] == [True, False, False, False]


def test_a_run_within_an_operation_begins_at_once(ready: Node, api: Api) -> None:
    (ready.root / "state/wanted.json").write_text(json.dumps({"revision": "1", "operation_active": True}))
    wish(api, "2", [now(api)])
    ready.dreams()
    assert ready.run("run", hurry=False).returncode == 0
    assert ready.slept == []
    assert last(api)["revision"] == "2"


def test_a_run_within_a_long_operation_ends_after_15_minutes(ready: Node, api: Api) -> None:
    (ready.root / "state/wanted.json").write_text(json.dumps({"revision": "1", "operation_active": True}))
    api.scripted[SELF] = [active(api)] * 9
    ready.dreams(speed=20)
    assert ready.run("run", hurry=False).returncode == 0
    assert ready.slept == [15, 15, 15]
    assert len(api.of(SELF)) == 3


def test_a_look_that_fails_within_an_operation_is_followed_by_others(ready: Node, api: Api) -> None:
    """Also when these wishes were never met, and those before had no operation."""
    wish(api, "2", [now(api)])
    answer = active(api)
    answer[1]["ca_pem"] = "hello"
    answer[1].pop("authorities")
    api.scripted[SELF] = [answer, answer]
    ready.dreams()
    assert ready.run("run", hurry=False).returncode == 0
    assert ready.slept == [10, 15, 15]
    assert [body["revision"] for body in api.bodies(REPORT)] == ["1", "1", "2"]
