"""Kubernetes on Ubuntu: what is rendered, and what the scripts leave on a node, in a folder that stands for `/`."""

from __future__ import annotations

import base64
import configparser
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.domain.errors import InvalidInput
from shared.domain.node_profiles import PROFILES
from shared.drivers import registry
from shared.drivers.common.access import LOAD_BALANCERS, MANAGE_VOLUMES, READ_NODES, together
from tests.drivers.cases import CREDENTIAL, SECRET, facts, render, tool, user_data
from tests.drivers.nodes import ADDRESSES, Sandbox, environment, node

DRIVER = registry.by_name("k8s_ubuntu")
CLOUD: dict[str, Any] = {"volume_driver": "cinder", "labels": {"cloud_provider_enabled": "true"}}
NOTED = "ln modprobe sysctl swapoff mountpoint apt-mark apt-get kubectl"
KUBEADM = """
echo "kubeadm $*" >>{root}/calls
case "$*" in
    "version -o short") echo {version} ;;
    "config images list"*) printf '%s\\n' registry.k8s.io/etcd:3.6.5-0 registry.k8s.io/pause:3.10.1 ;;
esac
"""
POD = """apiVersion: v1
kind: Pod
metadata:
  labels:
    component: etcd
    tier: control-plane
  name: etcd
spec: {containers: []}
"""


def sandbox(
    root: Path, role: str, version: str = "v1.36.4", filled: dict[str, str] | None = None, **changes: Any
) -> Sandbox:
    box = Sandbox(root, node(DRIVER, role, **changes), filled)
    for name in NOTED.split():
        box.program(name, f'echo "{name} $*" >>{root}/calls')
    box.program("kubeadm", KUBEADM.format(root=root, version=version))
    box.program("kubelet", f"echo Kubernetes {version}")
    box.program("containerd", "echo containerd github.com/containerd/containerd 1.7.28 abc")
    box.program("sleep", ":")
    box.program("curl", f'echo "curl $*" >>{root}/calls')
    box.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n")
    return box


def certificates(box: Sandbox, role: str) -> None:
    """What the node agent leaves."""
    pki = box.root / "var/lib/jeroboam/pki"
    for folder in ("certificates", "authorities", "shared"):
        (pki / folder).mkdir(parents=True, exist_ok=True)
    openssl(pki, "genrsa", "-out", "node.key", "2048")
    openssl(pki, "req", "-new", "-x509", "-key", "node.key", "-subj", "/CN=ca", "-out", "ca.crt")
    for kind in ("etcd", "front_proxy"):
        (pki / f"authorities/{kind}.crt").write_text(f"authority {kind}\n")
    for profile in DRIVER.certificates["master" if role == "master" else "worker"]:
        (pki / f"certificates/{profile}.crt").write_text(f"certificate {profile}\n")
    (pki / "node.crt").write_text("certificate node\n")
    openssl(pki, "genrsa", "-out", "shared/service-account.key", "2048")


def openssl(folder: Path, *words: str) -> None:
    subprocess.run([tool("openssl"), *words], cwd=folder, check=True, capture_output=True)


def test_every_profile_is_known_and_workers_get_one() -> None:
    assert set(DRIVER.certificates["master"]) <= PROFILES.keys()
    assert DRIVER.certificates["worker"] == ("node",)
    assert DRIVER.shares_service_account
    assert environment(DRIVER, "master")["JB_NODE_KEY"] == "rsa2048"
    assert environment(DRIVER, "worker")["JB_NODE_KEY"] == "ec-p256"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tls_disabled": True, "ca_pem": ""}, "tls_disabled"),
        ({"registry_enabled": True}, "registry_enabled"),
        ({"docker_storage_driver": "devicemapper"}, "docker_storage_driver"),
        ({"discovery_url": "https://discovery.example.org/1"}, "discovery_url"),
        ({"master_count": 2}, "master_count"),
        ({"labels": {"service_cluster_ip_range": "10.254.0.0/29"}}, "labels/service_cluster_ip_range"),
        ({"labels": {"service_cluster_ip_range": "172.0.0.0/8"}}, "labels/service_cluster_ip_range"),
        (
            {"labels": {"flannel_network_cidr": "172.16.0.0/12", "flannel_network_subnetlen": "29"}},
            "labels/flannel_network_subnetlen",
        ),
    ],
)
def test_what_it_cannot_make_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DRIVER.validate(facts(DRIVER, **changes))
    assert refused.value.field == field


def test_the_credential_is_on_masters_only_and_no_wider_than_the_bay_needs() -> None:
    nodes = user_data(DRIVER.render(facts(DRIVER, **CLOUD), CREDENTIAL))
    assert "/etc/jeroboam/cloud-credential" in nodes["master"].files
    assert "/etc/jeroboam/cloud-credential" not in nodes["worker"].files
    both = DRIVER.access_rules(facts(DRIVER, **CLOUD))
    assert set(map(str, both)) == set(map(str, together(READ_NODES, LOAD_BALANCERS, MANAGE_VOLUMES)))
    only_volumes = DRIVER.access_rules(facts(DRIVER, volume_driver="cinder", labels={"cloud_provider_enabled": "no"}))
    assert only_volumes == MANAGE_VOLUMES
    only_balancers = DRIVER.access_rules(facts(DRIVER, labels={"cloud_provider_enabled": "yes"}))
    assert not any(rule["service"] == "volumev3" for rule in only_balancers)
    assert DRIVER.access_rules(facts(DRIVER)) == together()


def test_manifests_are_whole() -> None:
    text = node(DRIVER, "master", **CLOUD).files["/etc/jeroboam/manifests.yaml"]["content"]
    found = [one for one in yaml.safe_load_all(text) if one]
    assert len({(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found}) == len(
        found
    )
    for one in found:
        if one["kind"] in ("DaemonSet", "Deployment"):
            pod = one["spec"]["template"]["spec"]
            accounts = {each["metadata"]["name"] for each in found if each["kind"] == "ServiceAccount"}
            assert pod["serviceAccountName"] in accounts
            volumes = {each["name"] for each in pod["volumes"]}
            for container in pod["containers"] + pod.get("initContainers", []):
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            secrets = {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
            on_masters = "node-role.kubernetes.io/control-plane" in pod.get("nodeSelector", {})
            assert not secrets or on_masters
    (network,) = [one for one in found if one["kind"] == "ConfigMap"]
    assert yaml.safe_load(network["data"]["net-conf.json"])["Network"] == "10.100.0.0/16"
    assert yaml.safe_load(network["data"]["cni-conf.json"])["plugins"][0]["type"] == "flannel"


def test_a_node_with_everything_in_its_image_fetches_nothing(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "worker")
    done = box.run("40-node.sh")
    assert (done.returncode, box.failure()) == (0, "")
    assert not any(call.startswith(("apt-get", "curl")) for call in box.calls)
    assert "#/swapfile none swap" in box.read("/etc/fstab")
    config = box.read("/etc/containerd/config.toml")
    assert 'sandbox_image = "registry.k8s.io/pause:3.10.1"' in config
    assert "SystemdCgroup = true" in config
    kubelet = yaml.safe_load(box.read("/var/lib/kubelet/config.yaml"))
    assert kubelet["clusterDNS"] == ["10.254.0.10"]
    assert kubelet["rotateCertificates"] is False
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    flags = box.read("/var/lib/kubelet/kubeadm-flags.env")
    assert "--hostname-override=web-master-1 --node-ip=10.0.0.6" in flags
    assert "cloud-provider" not in flags
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(box.read("/etc/systemd/system/kubelet.service.d/20-jeroboam.conf"))
    assert unit["Service"]["ExecStart"].startswith(f"{tmp_path}/bin/kubelet --kubeconfig=")
    assert unit["Unit"]["RequiresMountsFor"].split()[1].endswith("/var/lib/etcd")


def test_running_it_again_changes_nothing(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "worker", filled={"@@DOCKER_VOLUME@@": "1d3a5b7c"})
    box.put("/var/lib/jeroboam/jb-containerd-formatted", "")
    states = []
    for _ in range(2):
        assert box.run("40-node.sh").returncode == 0, box.failure()
        states.append({path: path.read_bytes() for path in (tmp_path / "etc").rglob("*") if path.is_file()})
    assert states[0] == states[1]
    assert not any(call.startswith("mkfs") for call in box.calls)
    assert box.read("/etc/fstab").count("jb-containerd") == 1


def test_what_cannot_be_fetched_is_named_with_its_url(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "worker", version="v1.30.0")
    box.program("curl", f'echo "curl $*" >>{tmp_path}/calls; exit 22')
    assert box.run("40-node.sh").returncode != 0
    assert box.failure() == (
        "packages: the key of the package source could not be fetched from "
        "https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key\n"
    )
    assert sum(call.startswith("curl") for call in box.calls) == 5


def test_packages_come_from_the_bays_source_in_the_bays_version(tmp_path: Path) -> None:
    sources = {"k8s_ubuntu_packages": "https://mirror.example.org/{minor}/", "k8s_ubuntu_packages_key": "https://m/k"}
    box = sandbox(tmp_path, "worker", version="v1.30.0", node_sources=sources)
    box.program("curl", "echo BEGIN PGP PUBLIC KEY BLOCK")
    box.program("apt-get", f'echo "apt-get $*" >>{tmp_path}/calls; touch {tmp_path}/new')
    box.program("kubelet", f"[ ! -e {tmp_path}/new ] || echo Kubernetes v1.36.4")
    text = KUBEADM.format(root=tmp_path, version=f"$([ -e {tmp_path}/new ] && echo v1.36.4)")
    box.program("kubeadm", text)
    assert box.run("40-node.sh").returncode == 0, box.failure()
    assert "https://mirror.example.org/v1.36/ /" in box.read("/etc/apt/sources.list.d/jeroboam-kubernetes.list")
    (install,) = [call for call in box.calls if " install " in call]
    assert install.endswith("kubelet=1.36.4-* kubeadm=1.36.4-* kubectl=1.36.4-*")


def test_containerd_2_and_registries(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "worker", insecure_registry="registry.example.org:5000")
    box.program("containerd", "echo containerd github.com/containerd/containerd/v2 v2.2.1 abc")
    assert box.run("40-node.sh").returncode == 0, box.failure()
    assert box.read("/etc/containerd/config.toml").startswith("version = 3\n")
    hosts = box.read("/etc/containerd/certs.d/registry.example.org:5000/hosts.toml")
    assert "skip_verify = true" in hosts
    assert 'server = "http://registry.example.org:5000"' in hosts
    assert '[host."https://registry-1.docker.io"]' in box.read("/etc/containerd/certs.d/docker.io/hosts.toml")


def master(tmp_path: Path, index: str, **changes: Any) -> Sandbox:
    filled = {"@@NODE_INDEX@@": index, "@@NODE_NAME@@": f"web-0c2a1b5e2f9d-1-master-{index}"}
    box = sandbox(tmp_path, "master", filled=filled, master_count=3, **changes)
    box.put("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
    assert box.run("60-master.master.sh").returncode == 0, box.failure()
    return box


def test_masters_form_etcd_without_joining(tmp_path: Path) -> None:
    box = master(tmp_path, "1")
    init, cluster, kubelet = yaml.safe_load_all(box.read("/var/lib/jeroboam/kubeadm.yaml"))
    assert box.mode("/var/lib/jeroboam/kubeadm.yaml") == 0o600
    assert init["localAPIEndpoint"] == {"advertiseAddress": ADDRESSES[1], "bindPort": 6443}
    assert {init["apiVersion"], cluster["apiVersion"]} == {"kubeadm.k8s.io/v1beta4"}
    arguments = {one["name"]: one["value"] for one in cluster["etcd"]["local"]["extraArgs"]}
    assert arguments["initial-cluster"] == ",".join(
        f"web-0c2a1b5e2f9d-1-master-{index}=https://{address}:2380" for index, address in enumerate(ADDRESSES)
    )
    assert f"{init['nodeRegistration']['name']}=https://{ADDRESSES[1]}:2380" in arguments["initial-cluster"]
    assert cluster["controlPlaneEndpoint"] == f"{ADDRESSES[0]}:6443"
    assert cluster["networking"]["podSubnet"] == "10.100.0.0/16"
    assert cluster["controllerManager"]["extraArgs"] == [{"name": "node-cidr-mask-size", "value": "24"}]
    assert kubelet["kind"] == "KubeletConfiguration"
    phases = [call.split(" --config")[0] for call in box.calls if call.startswith("kubeadm init")]
    assert phases == [
        "kubeadm init phase etcd local",
        "kubeadm init phase control-plane all",
        "kubeadm init phase mark-control-plane",
    ]
    assert not any(call.startswith("kubectl") for call in box.calls)


def test_the_first_master_brings_in_what_the_bay_shares(tmp_path: Path) -> None:
    box = master(tmp_path, "0", **CLOUD)
    assert "kubeadm init phase addon all" in "\n".join(box.calls)
    assert f"kubectl apply -f {tmp_path}/etc/jeroboam/manifests.yaml" in box.calls
    cloud = configparser.ConfigParser()
    cloud.read_string(box.read("/etc/kubernetes/cloud.conf"))
    assert box.mode("/etc/kubernetes/cloud.conf") == 0o600
    assert cloud["Global"]["application-credential-secret"] == "zq7-secret"
    assert cloud["LoadBalancer"]["floating-network-id"] == "public"
    assert "subnet-id" not in cloud["LoadBalancer"]
    assert not any("zq7-secret" in call for call in box.calls)
    assert not (tmp_path / "var/lib/jeroboam/cloud-config.yaml").exists()


def test_without_the_cloud_there_is_no_cloud_configuration(tmp_path: Path) -> None:
    master(tmp_path, "0")
    assert not (tmp_path / "etc/kubernetes/cloud.conf").exists()
    assert SECRET not in str(render(DRIVER, "default"))


@pytest.mark.parametrize(
    ("role", "server", "files"),
    [
        ("worker", "https://10.0.0.5:6443", {"kubelet.conf"}),
        (
            "master",
            "https://10.0.0.6:6443",
            {"kubelet.conf", "admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"},
        ),
    ],
)
def test_certificates_lie_where_kubeadm_looks(tmp_path: Path, role: str, server: str, files: set[str]) -> None:
    box = sandbox(tmp_path, role)
    certificates(box, role)
    done = box.run("/etc/jeroboam/install-certificates")
    assert done.returncode == 0, done.stderr
    kubernetes = tmp_path / "etc/kubernetes"
    assert {path.name for path in kubernetes.glob("*.conf")} == files
    for name in files:
        config = yaml.safe_load(box.read(f"/etc/kubernetes/{name}"))
        assert box.mode(f"/etc/kubernetes/{name}") == 0o600
        assert config["clusters"][0]["cluster"]["server"] == server
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        assert authority.decode() == box.read("/var/lib/jeroboam/pki/ca.crt")
        assert config["current-context"] == config["contexts"][0]["name"]
    keys = list(kubernetes.rglob("*.key"))
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in keys)
    assert not [path for path in keys if path.name in ("ca.key", "front-proxy-ca.key")]
    if role == "master":
        admin = yaml.safe_load(box.read("/etc/kubernetes/admin.conf"))["users"][0]["user"]
        assert base64.b64decode(admin["client-certificate-data"]) == b"certificate admin\n"
        assert box.read("/etc/kubernetes/pki/etcd/peer.crt") == "certificate etcd\n"
        assert box.read("/etc/kubernetes/pki/etcd/healthcheck-client.crt") == "certificate apiserver-etcd-client\n"
        assert box.read("/etc/kubernetes/pki/sa.pub").startswith("-----BEGIN PUBLIC KEY-----")


def test_pods_are_made_anew_only_when_they_would_miss_a_change(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "master")
    certificates(box, "master")
    assert box.run("/etc/jeroboam/install-certificates").returncode == 0
    for name in ("etcd", "kube-scheduler"):
        box.put(f"/etc/kubernetes/manifests/{name}.yaml", POD)
    assert box.run("/etc/jeroboam/install-certificates").returncode == 0
    assert box.read("/etc/kubernetes/manifests/etcd.yaml") == POD
    seen = set()
    for authority in ("second", "third"):
        box.put("/var/lib/jeroboam/pki/authorities/etcd.crt", authority)
        assert box.run("/etc/jeroboam/install-certificates").returncode == 0
        pod = yaml.safe_load(box.read("/etc/kubernetes/manifests/etcd.yaml"))
        seen.add(pod["metadata"]["labels"].pop("jeroboam/revision"))
        del pod["metadata"]["labels"]["jeroboam/authorities"]
        assert pod == yaml.safe_load(POD)
    assert len(seen) == 2
    assert box.read("/etc/kubernetes/manifests/kube-scheduler.yaml") == POD
    assert {path.name for path in (tmp_path / "etc/kubernetes/manifests").iterdir()} == {
        "etcd.yaml",
        "kube-scheduler.yaml",
    }


NODE = '{"spec": {"taints": %s}, "status": {"conditions": [{"type": "Ready", "status": "%s", "message": "%s"}]}}'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NODE % ("[]", "True", "kubelet is posting"), ""),
        (NODE % ("[]", "False", "cni plugin not initialized"), "the node is not ready: cni plugin not initialized"),
        (
            NODE % ('[{"key": "node.cloudprovider.kubernetes.io/uninitialized"}]', "True", ""),
            "the node is not ready: the cloud provider has not taken it up",
        ),
        ('{"spec": {}}', "the node is not ready: kubelet has not reported"),
        ("<html>", "the node is not ready: kube-apiserver's answer is no node"),
    ],
)
def test_a_node_is_ready_when_kubernetes_says_so(tmp_path: Path, answer: str, reason: str) -> None:
    box = sandbox(tmp_path, "worker")
    box.put("/answer", answer)
    box.program("date", f"echo x >>{tmp_path}/ticks; echo $(($(stat -c %s {tmp_path}/ticks) * 200 + 1000000))")
    box.program("curl", f'while [ $# -gt 1 ]; do [ "$1" != -o ] || cp {tmp_path}/answer "$2"; shift; done')
    done = box.run("/etc/jeroboam/check-node")
    assert (done.returncode == 0) == (reason == "")
    assert not reason or box.read("/var/lib/jeroboam/check-error") == f"{reason}\n"
