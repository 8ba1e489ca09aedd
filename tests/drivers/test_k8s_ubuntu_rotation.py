"""Kubernetes on Ubuntu while the bay's authorities are exchanged: two of each kind, with one subject and two keys.

The scripts run in a folder that stands for `/`, with real certificates; kubectl and curl are recorders that know what
the test tells them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.domain.node_profiles import PROFILES
from tests.drivers.agent_pki import Authority
from tests.drivers.nodes import Sandbox
from tests.drivers.test_k8s_ubuntu import DRIVER, certificates, sandbox

PKI: Final = "/etc/kubernetes/pki"
STATIC: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
BUNDLES: Final = {"kubernetes": "ca", "front_proxy": "front-proxy-ca", "etcd": "etcd/ca"}
MANIFEST: Final = """apiVersion: v1
kind: Pod
metadata:
  labels:
    component: {name}
    tier: control-plane
  name: {name}
spec: {{containers: []}}
"""


class Bay:
    """The authorities of two generations, and the nodes' certificates of either."""

    def __init__(self) -> None:
        self.generations = [{kind: Authority(kind) for kind in BUNDLES} for _ in range(2)]
        self._keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]

    def given(self, box: Sandbox, trusted: Sequence[int], signer: int) -> None:
        """What the node agent has put in place: bundles in that order, certificates of that generation."""
        pki = box.root / "var/lib/jeroboam/pki"
        for kind in BUNDLES:
            text = "".join(self.generations[one][kind].pem for one in trusted)
            (pki / f"authorities/{kind}.crt").write_text(text)
        (pki / "ca.crt").write_text((pki / "authorities/kubernetes.crt").read_text())
        key = self._keys[signer]
        form = serialization.PrivateFormat.TraditionalOpenSSL
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (pki / "node.key").write_bytes(pem)
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        for profile in DRIVER.certificates["master"]:
            signed = self.generations[signer][PROFILES[profile].authority].sign(csr)
            (pki / f"certificates/{profile}.crt").write_text(signed)
            if profile == "node":
                (pki / "node.crt").write_text(signed)


@pytest.fixture(scope="module")
def bay() -> Bay:
    return Bay()


@pytest.fixture
def master(tmp_path: Path) -> Sandbox:
    """A master with running pods."""
    box = sandbox(tmp_path, "master", master_count=3)
    certificates(box, "master")
    for name in STATIC:
        box.put(f"/etc/kubernetes/manifests/{name}.yaml", MANIFEST.format(name=name))
    return box


def install(box: Sandbox) -> None:
    done = box.run("/etc/jeroboam/install-certificates")
    assert done.returncode == 0, done.stderr


def labels(box: Sandbox) -> dict[str, str]:
    """The revision of each static pod."""
    manifests = {name: yaml.safe_load(box.read(f"/etc/kubernetes/manifests/{name}.yaml")) for name in STATIC}
    return {name: pod["metadata"]["labels"]["jeroboam/revision"] for name, pod in manifests.items()}


@pytest.mark.parametrize("trusted", [(0, 1), (1, 0)])
@pytest.mark.parametrize("signer", [0, 1])
def test_the_authority_that_signed_comes_first(
    master: Sandbox, bay: Bay, trusted: tuple[int, int], signer: int
) -> None:
    """kubeadm takes the first of a file for the only one."""
    bay.given(master, trusted, signer)
    install(master)
    for kind, name in BUNDLES.items():
        found = master.read(f"{PKI}/{name}.crt")
        assert found == bay.generations[signer][kind].pem + bay.generations[1 - signer][kind].pem
    for path in (master.root / "etc/kubernetes").glob("*.conf"):
        cluster = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
        authorities = base64.b64decode(cluster["certificate-authority-data"]).decode()
        assert authorities == master.read(f"{PKI}/ca.crt"), path.name
    assert not list((master.root / "etc/kubernetes/pki").glob(".new.*"))


def test_each_phase_replaces_the_pods_that_would_miss_it(master: Sandbox, bay: Bay) -> None:
    seen: list[Mapping[str, str]] = []
    for trusted, signer in [((0,), 0), ((0, 1), 0), ((0, 1), 1), ((1,), 1)]:
        bay.given(master, trusted, signer)
        install(master)
        seen.append(labels(master))
    replaced = [[name for name in STATIC if before[name] != after[name]] for before, after in pairwise(seen)]
    assert replaced == [list(STATIC), ["kube-controller-manager", "kube-scheduler"], list(STATIC)]


def test_a_run_that_was_cut_short_is_done_again(master: Sandbox, bay: Bay) -> None:
    bay.given(master, (0, 1), 0)
    master.put(f"{PKI}/.new.cut/apiserver.key", "half a key")
    master.put("/var/lib/jeroboam/etcd.revision", "that of before\n")
    install(master)
    once = labels(master)
    assert not list((master.root / "etc/kubernetes/pki").glob(".new.*"))
    install(master)
    assert labels(master) == once


def test_key_and_certificate_change_at_once(master: Sandbox, bay: Bay) -> None:
    """etcd reads both at each connection."""
    master.program("mv", f'echo "mv $*" >>{master.root}/calls; exec /bin/mv "$@"')
    bay.given(master, (0, 1), 1)
    install(master)
    moves = [call.split()[1:] for call in master.calls if call.startswith("mv ")]
    for name in ("kubelet", "apiserver", "etcd/server", "etcd/peer", "apiserver-etcd-client"):
        place = f"{master.root}{PKI}/{name}".rpartition("/")[0] + "/"
        last = name.rpartition("/")[2]
        assert any(
            move[0] == "-f"
            and move[1].endswith(f"/{last}.key")
            and move[2].endswith(f"/{last}.crt")
            and move[3] == place
            for move in moves
        ), name
    for key in (master.root / "etc/kubernetes/pki").rglob("*.key"):
        assert key.stat().st_mode & 0o077 == 0


WELL: Final = {
    "127.0.0.1:10248/healthz": "ok",
    "127.0.0.1:2379/health": '{"health": "true"}',
    "10.0.0.6:6443/readyz": "ok",
    "/api/v1/nodes/web-master-1": '{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}',
}


def mirror(revision: str, ready: str = "True") -> str:
    conditions = [{"type": "Ready", "status": ready}]
    return json.dumps({"metadata": {"labels": {"jeroboam/revision": revision}}, "status": {"conditions": conditions}})


def answers(box: Sandbox, said: Mapping[str, str]) -> None:
    """curl gets these by the end of the URL, and nothing else."""
    lines = ['for url in "$@"; do :; done', "out=/dev/stdout", "while [ $# -gt 1 ]; do"]
    lines += ['    [ "$1" != -o ] || out=$2', "    shift", "done", "case $url in"]
    lines += [f"    *{url}) printf '%s' '{text}' >\"$out\" ;;" for url, text in said.items()]
    box.put("/etc/jeroboam/bay.env", box.read("/etc/jeroboam/bay.env").replace(str(box.root), "") + "JB_PATIENCE=120\n")
    box.program("curl", "\n".join([*lines, "    *) exit 22 ;;", "esac"]))
    ticks = f"{box.root}/ticks"
    box.program("date", f"echo >>{ticks}; echo $(($(stat -c %s {ticks}) * 20 + 1000000))")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"127.0.0.1:10248/healthz": None}, "waited in vain for kubelet to answer"),
        ({"127.0.0.1:2379/health": '{"health": "false"}'}, "waited in vain for etcd to be healthy on this master"),
        ({"10.0.0.6:6443/readyz": None}, "waited in vain for kube-apiserver to answer on this master"),
        ({"etcd": mirror("of before")}, "waited in vain for etcd to run as its manifest says"),
        ({"kube-scheduler": mirror("{}", "False")}, "waited in vain for kube-scheduler to run as its manifest says"),
        ({"kube-apiserver": None}, "waited in vain for kube-apiserver to run as its manifest says"),
    ],
)
def test_a_master_is_well_when_its_new_pods_are(
    master: Sandbox, bay: Bay, change: dict[str, str | None], reason: str
) -> None:
    bay.given(master, (0, 1), 0)
    install(master)
    said: dict[str, str | None] = {**WELL}
    for name, revision in labels(master).items():
        text = change.pop(name, mirror("{}")) if name in change else mirror("{}")
        said[f"/pods/{name}-web-master-1"] = text and text.replace("{}", revision)
    said |= change
    answers(master, {url: text for url, text in said.items() if text is not None})
    master.put("/etc/jeroboam/spread-authorities", f"touch {master.root}/spread")
    done = master.run("/etc/jeroboam/check-node")
    assert (done.returncode == 0) == (reason == ""), done.stderr
    assert (master.root / "spread").exists() == (reason == "")
    assert not reason or master.read("/var/lib/jeroboam/check-error") == f"{reason}\n"


def test_what_cannot_be_spread_is_the_reason(master: Sandbox, bay: Bay) -> None:
    bay.given(master, (0, 1), 0)
    install(master)
    pods = {f"/pods/{name}-web-master-1": mirror(revision) for name, revision in labels(master).items()}
    answers(master, {**WELL, **pods})
    master.put("/etc/jeroboam/spread-authorities", "echo much; echo daemonset/kube-proxy is late >&2; exit 1")
    assert master.run("/etc/jeroboam/check-node").returncode == 1
    assert master.read("/var/lib/jeroboam/check-error") == "daemonset/kube-proxy is late\n"
    master.put("/etc/jeroboam/spread-authorities", "echo daemonset/kube-proxy is late >&2")
    done = master.run("/etc/jeroboam/check-node")
    assert done.returncode == 0
    assert done.stderr.endswith("daemonset/kube-proxy is late\n"), "it is in no log"


KUBECTL: Final = """
echo "kubectl $*" >>{root}/calls
case "$*" in
    *"{fails}"*) exit 1 ;;
    "get pods"*) for one in {alike}; do echo "pod/$one"; done ;;
    "get configmap kube-root-ca.crt --namespace {gone}"*) exit 1 ;;
    get*" --namespace {gone} "*) ;;
    "get configmap kube-root-ca.crt"*) jq -n --rawfile pem {published} '{{data: {{"ca.crt": $pem}}}}' ;;
    "get configmap extension"*) jq -n --rawfile pem {told} '{{data: {{"client-ca-file": $pem}}}}' ;;
    delete*) cp {root}/etc/kubernetes/pki/ca.crt {told} ;;
    get*kube-system*) echo daemonset.apps/kube-proxy; echo deployment.apps/coredns ;;
    get*kube-flannel*) echo daemonset.apps/flannel ;;
esac
"""
ALL: Final = "a b c"


def kubectl(
    box: Sandbox,
    *,
    alike: str = ALL,
    published: str = f"{PKI}/ca.crt",
    told: str = f"{PKI}/ca.crt",
    fails: str = "nothing",
    gone: str = "nothing",
) -> list[str]:
    """Run spread-authorities against such a bay; what kubectl was told to change."""
    root = str(box.root)
    files = {"published": root + published, "told": root + told}
    box.program("kubectl", KUBECTL.format(root=root, alike=alike or "$NONE", fails=fails, gone=gone, **files))
    box.put("/calls", "")
    ticks = f"{root}/ticks"
    box.program("date", f"echo >>{ticks}; echo $(($(stat -c %s {ticks}) * 5 + 1000000))")
    done = box.run("/etc/jeroboam/spread-authorities")
    said = [done.stderr.strip().rpartition("\n")[2]] if done.returncode else []
    return [call for call in box.calls if call.split()[1] in ("patch", "rollout", "delete")] + said


def trusting(box: Sandbox, bay: Bay, *trusted: int) -> None:
    bay.given(box, trusted, trusted[0])
    install(box)


def test_the_last_master_spreads_what_all_trust(master: Sandbox, bay: Bay) -> None:
    trusting(master, bay, 0)
    assert kubectl(master) == [], "the pods of a new bay were started again"
    trusting(master, bay, 0, 1)
    assert kubectl(master, alike="a b") == [], "pods would be given either authority"
    changes = kubectl(master)
    of = [call.split()[2] for call in changes]
    assert of == [
        *("daemonset.apps/kube-proxy", "deployment.apps/coredns", "daemonset.apps/flannel"),
        *("status", "status", "status"),
    ]
    digest = yaml.safe_load(master.read("/etc/kubernetes/manifests/kube-controller-manager.yaml"))
    wanted = digest["metadata"]["labels"]["jeroboam/authorities"]
    for call in (call for call in changes if call.startswith("kubectl patch")):
        spec = json.loads(call.partition("--patch ")[2])["spec"]
        assert spec["template"]["metadata"]["annotations"] == {"jeroboam/authorities": wanted}
        assert ("updateStrategy" in spec) == ("daemonset" in call)
    assert any(f"jeroboam/authorities={wanted}" in call for call in master.calls)
    assert kubectl(master) == [], "it is done once"


def test_another_certificate_of_the_same_authorities_restarts_no_pods(master: Sandbox, bay: Bay) -> None:
    trusting(master, bay, 0, 1)
    assert kubectl(master) == []
    bay.given(master, (0, 1), 1)
    install(master)
    assert kubectl(master) == []


def test_a_rotation_that_was_undone_is_spread_back(master: Sandbox, bay: Bay) -> None:
    """Also by a master that was not the last one on the way there."""
    trusting(master, bay, 0)
    kubectl(master)
    trusting(master, bay, 0, 1)
    assert kubectl(master, alike="a") == []
    trusting(master, bay, 0)
    assert len(kubectl(master)) == 6


def test_what_was_dropped_is_taken_off_the_list_of_aggregated_servers(master: Sandbox, bay: Bay) -> None:
    trusting(master, bay, 0, 1)
    master.put("/told", master.read(f"{PKI}/ca.crt"))
    kubectl(master)
    trusting(master, bay, 1)
    deleted = [call for call in kubectl(master, told="/told") if call.startswith("kubectl delete")]
    assert [call.split()[2:4] for call in deleted] == [["configmap", "extension-apiserver-authentication"]]


@pytest.mark.parametrize(
    ("fails", "published", "reason"),
    [
        ("get pods", f"{PKI}/ca.crt", "Kubernetes does not tell which authorities its masters trust"),
        ("patch", f"{PKI}/ca.crt", "daemonset.apps/kube-proxy could not be told of the bay's authorities"),
        ("nothing", "/old", "waited in vain for pods in kube-system to be given the bay's authorities"),
    ],
)
def test_what_is_not_done_is_told_and_done_again(
    master: Sandbox, bay: Bay, fails: str, published: str, reason: str
) -> None:
    trusting(master, bay, 0)
    master.put("/old", master.read(f"{PKI}/ca.crt"))
    kubectl(master)
    trusting(master, bay, 0, 1)
    assert kubectl(master, fails=fails, published=published)[-1] == reason
    assert len(kubectl(master)) == 6


def test_add_ons_that_do_not_come_are_waited_for_once(master: Sandbox, bay: Bay) -> None:
    """One that crashes, for another reason, would stop the rotation and its undoing."""
    trusting(master, bay, 0, 1)
    kubectl(master)
    master.put("/told", master.read(f"{PKI}/ca.crt"))
    trusting(master, bay, 1)
    changes = [call.split()[1] for call in kubectl(master, told="/told", fails="rollout")]
    assert changes == ["patch", "patch", "patch", "delete", "rollout", "rollout", "rollout"]
    assert kubectl(master, fails="rollout") == []


def test_what_users_removed_is_passed_over(master: Sandbox, bay: Bay) -> None:
    trusting(master, bay, 0)
    kubectl(master)
    trusting(master, bay, 0, 1)
    changes = kubectl(master, gone="kube-flannel")
    assert [call.split()[1] for call in changes] == ["patch", "patch", "rollout", "rollout"]
    assert not any("flannel" in call for call in changes)
    assert kubectl(master) == []


def test_a_masters_first_pod_tells_what_it_trusts(master: Sandbox, bay: Bay) -> None:
    """Else one that had no turn yet would not be counted when a bay's first rotation is undone."""
    trusting(master, bay, 0)
    master.put("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
    assert master.run("60-master.master.sh").returncode == 0, master.failure()
    init = next(iter(yaml.safe_load_all(master.read("/var/lib/jeroboam/kubeadm.yaml"))))
    assert init["patches"] == {"directory": f"{master.root}/var/lib/jeroboam/patches"}
    patch = yaml.safe_load(master.read("/var/lib/jeroboam/patches/kube-controller-manager+strategic.yaml"))
    trusting(master, bay, 0, 1)
    trusting(master, bay, 0)
    later = yaml.safe_load(master.read("/etc/kubernetes/manifests/kube-controller-manager.yaml"))
    label = {"jeroboam/authorities": later["metadata"]["labels"]["jeroboam/authorities"]}
    assert patch == {"metadata": {"labels": label}}
