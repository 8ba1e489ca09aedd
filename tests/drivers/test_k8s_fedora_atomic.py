"""Kubernetes on Fedora Atomic: what it refuses, and what its payload makes of a node. Much of it is shared with CoreOS
and bare metal, and then tried on all three."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.common import sources
from shared.drivers.contract import Driver
from tests.drivers.cases import CREDENTIAL, facts, render, resources
from tests.drivers.legacy_nodes import (
    ATOMIC,
    COREOS,
    LEGACY,
    PREFIX,
    assigned,
    certified,
    each_legacy,
    finished,
    machine,
    pods,
    running_master,
    running_worker,
)
from tests.drivers.nodes import ADDRESSES, environment

NO_TLS: dict[str, Any] = {"tls_disabled": True, "ca_pem": ""}
VOLUME = "6e2f1f86-3a53-4d0c-9f3e-0a1b2c3d4e5f"


def parameters(**changes: Any) -> dict[str, str]:
    return ATOMIC.render(facts(ATOMIC, **changes), CREDENTIAL).parameters


# What is refused, and what Heat is told.


@each_legacy
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"master_count": 2}, "master_count"),
        ({"master_count": 0}, "master_count"),
        ({"node_count": -1}, "node_count"),
        ({"network_driver": "docker"}, "network_driver"),
        ({"volume_driver": "rexray"}, "volume_driver"),
        ({"registry_enabled": True}, "registry_enabled"),
        ({"docker_storage_driver": "btrfs"}, "docker_storage_driver"),
        ({"fixed_network": None, "fixed_subnet": "s"}, "fixed_subnet"),
        ({"apiserver_port": 80}, "apiserver_port"),
        ({"apiserver_port": 2379}, "apiserver_port"),
        ({"apiserver_port": 8080}, "apiserver_port"),
        ({"discovery_url": "https://discovery.example.org"}, "discovery_url"),
        ({"discovery_url": "https://discovery.example.org/"}, "discovery_url"),
        ({"discovery_url": "https://discovery.example.org/new?size=3"}, "discovery_url"),
        ({"discovery_url": "etcd.example.org/abc"}, "discovery_url"),
        ({"labels": {"kube_tag": "v1.18.2"}}, "labels/kube_tag"),
        ({"labels": {"kube_tag": "v1.1.8"}}, "labels/kube_tag"),
        ({"labels": {"container_infra_prefix": "mirror.example.org"}}, "labels/container_infra_prefix"),
        ({"labels": {"flannel_backend": "pigeon"}}, "labels/flannel_backend"),
        ({"labels": {"flannel_network_cidr": "10.1.2.3/16"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_cidr": "10.100.0.0"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_cidr": "10.254.0.0/17"}}, "labels/flannel_network_cidr"),
        ({"labels": {"flannel_network_subnetlen": "16"}}, "labels/flannel_network_subnetlen"),
        ({"labels": {"flannel_network_subnetlen": "٢٤"}}, "labels/flannel_network_subnetlen"),
    ],
)
def test_refused_with_field(driver: Driver, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        driver.validate(facts(driver, **changes))
    expected = "fixed_network" if changes.get("fixed_subnet") and "new" not in driver.support.networks else field
    assert refused.value.field == expected


def test_registry_says_why() -> None:
    with pytest.raises(InvalidInput, match="asks for a password"):
        ATOMIC.validate(facts(ATOMIC, registry_enabled=True))


def test_the_port_of_the_door_is_taken_where_there_is_one() -> None:
    ATOMIC.validate(facts(ATOMIC, apiserver_port=4917))
    with pytest.raises(InvalidInput, match="4917 is taken"):
        ATOMIC.validate(facts(ATOMIC, apiserver_port=4917, volume_driver="cinder"))


def test_door_check_needs_no_authority_but_rendering_does() -> None:
    given = facts(ATOMIC, ca_pem="")
    ATOMIC.validate(given)
    with pytest.raises(ValueError, match="ca_pem"):
        ATOMIC.render(given, CREDENTIAL)


def test_flannel_network_keeps_off_the_network_that_is_made_only() -> None:
    labels = {"flannel_network_cidr": "10.0.0.0/16"}
    ATOMIC.validate(facts(ATOMIC, fixed_network="n", labels=labels))
    with pytest.raises(InvalidInput, match="overlaps"):
        ATOMIC.validate(facts(ATOMIC, labels=labels))


@pytest.mark.parametrize("port", [None, 7443])
@pytest.mark.parametrize("tls_disabled", [False, True])
def test_api_port(port: int | None, tls_disabled: bool) -> None:
    changes = {"apiserver_port": port} | (NO_TLS if tls_disabled else {})
    scheme, expected = ("http", port or 8080) if tls_disabled else ("https", port or 6443)
    given = parameters(**changes)
    assert (given["api_port"], given["api_address_format"]) == (str(expected), f"{scheme}://ADDRESS:PORT")
    assert environment(ATOMIC, "worker", **changes)["JB_API_SERVER"] == f"{scheme}://@@API_ADDRESS@@:{expected}"


@each_legacy
@pytest.mark.parametrize("masters", [1, 3, 5])
@pytest.mark.parametrize("balanced", [False, True])
def test_masters_with_and_without_load_balancer(driver: Driver, masters: int, balanced: bool) -> None:
    given = facts(driver, master_count=masters, master_lb_enabled=balanced)
    told = driver.render(given, CREDENTIAL).parameters
    assert (told["number_of_masters"], told["master_lb_enabled"]) == (str(masters), str(balanced).lower())
    warned = [sentence for sentence in driver.advice(given) if "first master alone" in sentence]
    assert bool(warned) == (masters > 1 and not balanced)


@each_legacy
def test_kubelet_etcd_and_overlay_are_not_open_to_the_world(driver: Driver) -> None:
    groups = {name: group for _, name, group in resources(render(driver, "default"), "OS::Neutron::SecurityGroup")}
    assert len(groups) == 3
    for name, group in groups.items():
        for rule in group["properties"]["rules"]:
            low, high = rule.get("port_range_min"), rule.get("port_range_max")
            if rule.get("protocol") == "tcp" and isinstance(low, int):
                closed = (2379, 2380, 10250, 10251) if name == "secgroup_kube_master" else (4194, 10250, 10255)
                assert not any(low <= port <= high for port in closed)
            if rule.get("protocol") == "udp":
                assert not any(low <= port <= high for port in (8285, 8472))
            if "protocol" not in rule:
                assert rule == {"remote_mode": "remote_group_id"}


def test_version_and_default_image_agree() -> None:
    for driver in LEGACY:
        assert sources.DEFAULTS["k8s_hyperkube_image"].endswith(f":{driver.coe_version}")


@pytest.mark.parametrize("text", ["", "{}", "k8s_pause_image: mirror/pause:2", '{"k8s_pause_image": "mirror/pause:2"}'])
def test_source_overrides_are_read(text: str) -> None:
    assert sources.resolve(sources.parse(text)).keys() == sources.DEFAULTS.keys()


@pytest.mark.parametrize("text", ["[]", "a: [", "k8s_pause_image: 7", "k8s_pause_image: ''", "nonsense: x"])
def test_bad_source_overrides_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="ource"):
        sources.parse(text)


# etcd.


@each_legacy
def test_etcd_of_three_masters(driver: Driver, tmp_path: Path) -> None:
    box = machine(tmp_path, driver, "master", master_count=3)
    finished(box, "40-etcd.master.sh")
    conf = assigned(box, "/etc/etcd/etcd.conf")
    members = [f"{PREFIX}-master-{index}=https://{address}:2380" for index, address in enumerate(ADDRESSES)]
    assert conf["ETCD_INITIAL_CLUSTER"] == ",".join(members)
    assert f"{conf['ETCD_NAME']}={conf['ETCD_INITIAL_ADVERTISE_PEER_URLS']}" == members[1], "it finds itself"
    assert conf["ETCD_LISTEN_CLIENT_URLS"] == "https://10.0.0.6:2379,http://127.0.0.1:2379"
    for prefix in ("ETCD", "ETCD_PEER"):
        assert conf[f"{prefix}_CLIENT_CERT_AUTH"] == "true"
        for name, file in (("CERT_FILE", "node.crt"), ("KEY_FILE", "node.key"), ("TRUSTED_CA_FILE", "ca.crt")):
            assert conf[f"{prefix}_{name}"].endswith(f"/etc/etcd/ssl/{file}")
    assert "ETCD_DISCOVERY" not in conf
    assert "systemctl restart --no-block etcd" in box.calls, "a member alone is not ready, and must not be waited for"


def test_etcd_without_tls(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "master", master_count=3, **NO_TLS)
    finished(box, "40-etcd.master.sh")
    conf = assigned(box, "/etc/etcd/etcd.conf")
    assert "https" not in str(conf)
    assert not any("CERT" in name for name in conf)


@each_legacy
@pytest.mark.parametrize(
    ("proxies", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://p:1", "http_proxy": "http://p:2"}, "http://p:1"),
        ({"http_proxy": "http://p:2"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "a,discovery.example.org"}, None),
    ],
)
def test_discovery_url_is_honoured(driver: Driver, proxies: dict[str, str], proxy: str | None, tmp_path: Path) -> None:
    url = "https://discovery.example.org:8443/v2/keys/6c007a14875d53d9"
    box = machine(tmp_path, driver, "master", master_count=3, discovery_url=url, **proxies)
    finished(box, "40-etcd.master.sh")
    conf = assigned(box, "/etc/etcd/etcd.conf")
    assert conf["ETCD_DISCOVERY"] == url
    assert conf.get("ETCD_DISCOVERY_PROXY") == proxy
    assert not any(name.startswith("ETCD_INITIAL_CLUSTER") for name in conf), "etcd refuses to be told both"


@pytest.mark.parametrize("driver", [ATOMIC, COREOS], ids=lambda driver: driver.name)
def test_etcd_has_its_volume(driver: Driver, tmp_path: Path) -> None:
    box = machine(tmp_path, driver, "master", etcd_volume=VOLUME, labels={"etcd_volume_size": "3"})
    finished(box, "35-etcd-storage.master.sh", "40-etcd.master.sh")
    unit = box.read("/etc/systemd/system/var-lib-etcd.mount")
    assert "What=/dev/disk/by-label/jb-etcd\n" in unit
    assert f"mkfs.ext4 -q -F -L jb-etcd /dev/disk-of-{VOLUME}" in box.calls
    where = f"{tmp_path}/var/lib/etcd"
    assert f"Where={where}\n" in unit
    assert f"RequiresMountsFor={where}\n" in box.read("/etc/systemd/system/etcd.service.d/jeroboam.conf")
    assert assigned(box, "/etc/etcd/etcd.conf")["ETCD_DATA_DIR"].startswith(f"{where}/")
    finished(box, "35-etcd-storage.master.sh")
    assert sum(call.startswith("mkfs") for call in box.calls) == 1, "never formatted again"


def test_etcd_without_a_volume(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "master")
    finished(box, "35-etcd-storage.master.sh")
    assert box.calls == []


def test_an_etcd_that_cannot_run_is_told_at_once(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "master")
    box.program("systemctl", "case $1 in is-active) exit 3 ;; show) echo ExecMainStatus=203 ;; esac")
    assert box.run("40-etcd.master.sh").returncode != 0
    assert box.failure() == "etcd: etcd is no program that runs here\n"


# docker and flannel.


def test_a_thin_pool_on_the_volume(tmp_path: Path) -> None:
    box = machine(
        tmp_path, ATOMIC, "worker", volume=VOLUME, docker_volume_size=5, insecure_registry="r.example.org:5000"
    )
    finished(box, "30-docker-storage.sh")
    assert any(call.startswith("lvcreate") and "thin-pool" in call for call in box.calls)
    assert "dm.thinpooldev=/dev/mapper/jeroboam--docker-pool" in box.read("/etc/sysconfig/docker-storage")
    assert "--insecure-registry r.example.org:5000" in box.read("/etc/sysconfig/docker")
    assert "vgchange -a y jeroboam-docker" in box.read("/etc/systemd/system/docker.service.d/jeroboam.conf")


def test_a_file_system_on_the_volume(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"docker_volume_size": 5, "docker_storage_driver": "overlay2"}
    box = machine(tmp_path, ATOMIC, "worker", volume=VOLUME, **changes)
    finished(box, "30-docker-storage.sh")
    assert f"mkfs.xfs -f -n ftype=1 -L jb-docker /dev/disk-of-{VOLUME}" in box.calls
    assert "Type=xfs" in box.read("/etc/systemd/system/var-lib-docker.mount")
    assert box.read("/etc/sysconfig/docker-storage") == 'DOCKER_STORAGE_OPTIONS="--storage-driver overlay2"\n'
    assert "RequiresMountsFor=" in box.read("/etc/systemd/system/docker.service.d/jeroboam.conf")


@each_legacy
def test_workers_ask_every_master_for_their_subnet(driver: Driver, tmp_path: Path) -> None:
    box = machine(tmp_path, driver, "worker", master_count=3)
    finished(box, "50-network.sh")
    told = assigned(box, "/etc/sysconfig/flanneld")
    assert told["FLANNEL_ETCD_ENDPOINTS"] == ",".join(f"https://{address}:2379" for address in ADDRESSES)
    assert told["FLANNEL_ETCD"] == told["FLANNEL_ETCD_ENDPOINTS"]
    assert "-iface=10.0.0.9 " in told["FLANNEL_OPTIONS"]
    for flag in ("etcd-cafile", "etcd-certfile", "etcd-keyfile"):
        assert f"-{flag}=" in told["FLANNEL_OPTIONS"]
    stopped, bridge = box.calls.index("systemctl stop docker"), box.calls.index("ip link delete docker0")
    assert stopped < bridge < box.calls.index("systemctl restart docker")


def test_masters_write_the_network_into_their_own_etcd(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "master", master_count=3)
    finished(box, "50-network.sh")
    (put,) = [call for call in box.calls if call.startswith("curl")]
    assert "-X PUT http://127.0.0.1:2379/v2/keys/coreos.com/network/config" in put
    assert '"Network": "10.100.0.0/16"' in put
    assert assigned(box, "/etc/sysconfig/flanneld")["FLANNEL_ETCD_ENDPOINTS"] == "http://127.0.0.1:2379"


# Kubernetes.


@each_legacy
def test_masters_share_the_service_account_key(driver: Driver, tmp_path: Path) -> None:
    box = running_master(tmp_path, driver, master_count=3)
    key = f"{tmp_path}/etc/kubernetes/ssl/service-account.key"
    assert Path(key).read_text() == "the masters' key\n"
    for path in (key, f"{tmp_path}/etc/kubernetes/ssl/node.key", f"{tmp_path}/etc/etcd/ssl/node.key"):
        assert Path(path).stat().st_mode & 0o777 == 0o600
    assert f"--service-account-key-file={key}" in box.read("/etc/kubernetes/apiserver")
    assert f"--service-account-private-key-file={key}" in pods(box)["kube-controller-manager"]["command"]
    assert (driver.shares_service_account, environment(driver, "master")["JB_NODE_KEY"]) == (True, "rsa2048")
    assert environment(driver, "worker")["JB_NODE_KEY"] == "ec-p256"


def test_a_master_without_the_shared_key_fails_with_that_reason(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "master")
    assert box.run("60-kubernetes.master.sh").returncode != 0
    assert "service-account key did not come" in box.failure()


@each_legacy
@pytest.mark.parametrize("masters", [1, 3])
def test_control_plane(driver: Driver, masters: int, tmp_path: Path) -> None:
    box = running_master(tmp_path, driver, master_count=masters)
    told = assigned(box, "/etc/kubernetes/apiserver")
    assert told["KUBE_ETCD_SERVERS"] == "--etcd-servers=http://127.0.0.1:2379"
    assert "--advertise-address=10.0.0.6" in told["KUBE_API_ADDRESS"]
    assert "--insecure-bind-address=127.0.0.1 " in told["KUBE_API_ADDRESS"]
    assert ("--apiserver-count=3" in told["KUBE_API_ARGS"]) == (masters == 3)
    assert ",ServiceAccount," in told["KUBE_ADMISSION_CONTROL"]
    for name in ("kube-controller-manager", "kube-scheduler"):
        assert {"--leader-elect=true", "--address=127.0.0.1"} <= set(pods(box)[name]["command"])
    assert "--register-node=false" in assigned(box, "/etc/kubernetes/kubelet")["KUBELET_ARGS"]
    assert "systemctl restart kubelet" in box.calls


@each_legacy
def test_without_tls_nobody_has_a_service_account(driver: Driver, tmp_path: Path) -> None:
    box = running_master(tmp_path, driver, master_count=3, **NO_TLS)
    told = assigned(box, "/etc/kubernetes/apiserver")
    assert "ServiceAccount" not in told["KUBE_ADMISSION_CONTROL"]
    assert told["KUBE_API_ADDRESS"].startswith("--insecure-bind-address=0.0.0.0 --insecure-port=8080 --secure-port=0")
    texts = [path.read_text() for path in (tmp_path / "etc/kubernetes").rglob("*") if path.is_file()]
    assert texts
    assert not any(word in text for text in texts for word in ("service-account", "/ssl/"))


@each_legacy
@pytest.mark.parametrize("tls", [True, False])
def test_workers_dial_the_bays_api(driver: Driver, tls: bool, tmp_path: Path) -> None:
    box = running_worker(tmp_path, driver, master_count=3, **({} if tls else NO_TLS))
    server = f"{'https' if tls else 'http'}://{ADDRESSES[0]}:{6443 if tls else 8080}"
    assert assigned(box, "/etc/kubernetes/kubelet")["KUBELET_API_SERVER"] == f"--api-servers={server}"
    assert f"server: {server}\n" in box.read("/etc/kubernetes/node.kubeconfig")
    assert box.mode("/etc/kubernetes/node.kubeconfig") == 0o600
    assert pods(box).keys() == {"kube-proxy"}
    assert f"--master={server}" in pods(box)["kube-proxy"]["command"]


def test_units_are_the_guides() -> None:
    assert environment(ATOMIC, "master")["JB_UNITS"] == "etcd flanneld docker kube-apiserver kubelet"
    assert environment(ATOMIC, "worker")["JB_UNITS"] == "flanneld docker kubelet"
    assert environment(ATOMIC, "master")["JB_RESTART_UNITS"] == "etcd kube-apiserver kubelet"


def test_containers_are_the_guides_and_new_certificates_make_new_ones(tmp_path: Path) -> None:
    box = running_master(tmp_path, ATOMIC)
    before = pods(box)
    assert before.keys() == {"kube-controller-manager", "kube-scheduler", "kube-proxy"}
    (tmp_path / "var/lib/jeroboam/pki/node.crt").write_text("renewed\n")
    finished(box, "/etc/jeroboam/install-certificates")
    after = pods(box)
    assert all(before[name]["env"] != after[name]["env"] for name in before)
    assert not [path for path in (tmp_path / "etc/kubernetes/manifests").iterdir() if path.suffix != ".yaml"]


def test_the_check_names_what_does_not_answer(tmp_path: Path) -> None:
    box = machine(tmp_path, ATOMIC, "worker")
    certified(tmp_path)
    box.program("date", 'n=$(cat "$0.n" 2>/dev/null || echo 0); echo $((n + 400)) | tee "$0.n"')
    box.program("curl", "case $* in *10248*) ;; *) exit 7 ;; esac")
    box.program("sleep", ":")
    assert box.run("/etc/jeroboam/check-node").returncode == 1
    said = box.read("/var/lib/jeroboam/check-error")
    assert said == f"waited in vain for kube-apiserver at https://{ADDRESSES[0]}:6443 to answer this node\n"
