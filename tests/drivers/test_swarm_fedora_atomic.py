"""What is particular to the two kinds of Swarm: docker's options, etcd, manager and agents, joining."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.contract import Driver
from shared.drivers.registry import find
from tests.drivers.cases import CREDENTIAL, facts
from tests.drivers.nodes import Sandbox, environment, node

CLASSIC = find("vm", "fedora-atomic", "swarm")
MODE = find("vm", "fedora-atomic", "swarm-mode")
each_swarm = pytest.mark.parametrize("driver", [CLASSIC, MODE], ids=lambda driver: driver.name)
TLS = "--tlsverify --tlscacert=/etc/docker/ca.crt"


def options(sandbox: Sandbox) -> str:
    done = sandbox.run("60-docker.sh")
    assert done.returncode == 0, sandbox.failure()
    return sandbox.read("/etc/sysconfig/docker").replace(str(sandbox.root), "")


@each_swarm
def test_docker_is_open_only_to_holders_of_the_bays_certificates(tmp_path: Path, driver: Driver) -> None:
    assert TLS in options(Sandbox(tmp_path / "tls", node(driver, "worker")))
    plain = options(Sandbox(tmp_path / "plain", node(driver, "worker", tls_disabled=True, ca_pem="")))
    assert "--tlsverify" not in plain
    assert "-H tcp://0.0.0.0:2375" in plain


@each_swarm
def test_what_the_image_says_of_docker_stays(tmp_path: Path, driver: Driver) -> None:
    sandbox = Sandbox(tmp_path, node(driver, "worker", insecure_registry="registry.example.org:5000"))
    sandbox.put("/etc/sysconfig/docker", "OPTIONS='--selinux-enabled'\nADD_REGISTRY='--add-registry r'\n")
    text = options(sandbox)
    assert "ADD_REGISTRY='--add-registry r'" in text
    assert "INSECURE_REGISTRY='--insecure-registry registry.example.org:5000'" in text
    assert text.count("OPTIONS=") == 1


@each_swarm
def test_keys_are_private(tmp_path: Path, driver: Driver) -> None:
    sandbox = Sandbox(tmp_path, node(driver, "master"))
    for name in ("node.key", "node.crt", "ca.crt"):
        sandbox.put(f"/var/lib/jeroboam/pki/{name}", name)
    assert sandbox.run("/etc/jeroboam/install-certificates").returncode == 0
    assert sandbox.mode("/etc/docker/server.key") == 0o600
    assert sandbox.read("/etc/docker/ca.crt") == "ca.crt"
    assert (sandbox.root / "etc/etcd/ssl/node.key").exists() == (driver is CLASSIC)


def test_classic_masters_form_etcd_from_a_static_list(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(CLASSIC, "master", master_count=3))
    sandbox.program("curl", "exit 0")
    assert sandbox.run("40-etcd.master.sh").returncode == 0, sandbox.failure()
    text = sandbox.read("/etc/etcd/etcd.conf")
    prefix = environment(CLASSIC, "master")["JB_NODE_NAME_PREFIX"]
    members = ",".join(f"{prefix}-master-{n}=https://10.0.0.{n + 5}:2380" for n in range(3))
    assert f'ETCD_INITIAL_CLUSTER="{members}"' in text
    assert 'ETCD_CLIENT_CERT_AUTH="true"' in text
    assert "ETCD_DISCOVERY" not in text


def test_classic_masters_use_a_discovery_url_that_is_given(tmp_path: Path) -> None:
    url = "http://discovery.example.org/6a28e078895c5ec737174db2419bb2f3"
    sandbox = Sandbox(tmp_path, node(CLASSIC, "master", master_count=3, discovery_url=url))
    sandbox.program("curl", "exit 0")
    assert sandbox.run("40-etcd.master.sh").returncode == 0, sandbox.failure()
    assert f'ETCD_DISCOVERY="{url}"' in sandbox.read("/etc/etcd/etcd.conf")
    assert "ETCD_INITIAL_CLUSTER=" not in sandbox.read("/etc/etcd/etcd.conf")


def test_classic_agents_tell_all_masters_of_their_docker(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(CLASSIC, "worker"))
    assert sandbox.run("70-swarm.worker.sh").returncode == 0, sandbox.failure()
    unit = sandbox.read("/etc/systemd/system/swarm-agent.service")
    assert "join --addr 10.0.0.6:2375" in unit
    assert "etcd://10.0.0.5:2379,10.0.0.6:2379,10.0.0.7:2379/v2/keys/swarm/" in unit
    assert "kv.cacertfile=/certs/ca.crt" in unit


def test_classic_overlay_networks_keep_their_state_in_etcd(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(CLASSIC, "worker", network_driver="docker"))
    sandbox.program("dockerd", "echo '      --cluster-store string'")
    assert sandbox.run("50-network.sh").returncode == 0, sandbox.failure()
    text = options(sandbox)
    assert "--cluster-store=etcd://10.0.0.5:2379,10.0.0.6:2379,10.0.0.7:2379 " in text
    assert "--cluster-advertise=10.0.0.6:2375" in text


def test_classic_with_flannel(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(CLASSIC, "worker", network_driver="flannel"))
    assert sandbox.run("50-network.sh").returncode == 0, sandbox.failure()
    text = sandbox.read("/etc/sysconfig/flanneld")
    assert 'FLANNEL_ETCD_ENDPOINTS="https://10.0.0.5:2379,https://10.0.0.6:2379,https://10.0.0.7:2379"' in text
    assert "flanneld" in environment(CLASSIC, "worker", network_driver="flannel")["JB_UNITS"]
    assert "flanneld" not in environment(CLASSIC, "worker")["JB_UNITS"]


def swarm_docker(sandbox: Sandbox) -> None:
    """A docker that is in no swarm until it has begun or joined one."""
    active = sandbox.root / "active"
    sandbox.program(
        "docker",
        f'echo "docker $*" >>{sandbox.root}/calls\n'
        f'case "$*" in\n*LocalNodeState*) [ -e {active} ] && echo active || echo inactive ;;\n'
        f'"swarm init --help") echo "      --default-addr-pool ipNetSlice" ;;\n'
        f'"swarm init "*) touch {active} ;;\nesac',
    )


def test_mode_the_first_manager_begins_with_a_pool_apart_from_the_nodes_network(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(MODE, "master", master_count=3), {"@@NODE_INDEX@@": "0"})
    swarm_docker(sandbox)
    assert sandbox.run("70-swarm.sh").returncode == 0, sandbox.failure()
    assert "docker swarm init --advertise-addr 10.0.0.6 --default-addr-pool 172.31.0.0/16" in sandbox.calls
    before = len(sandbox.calls)
    assert sandbox.run("70-swarm.sh").returncode == 0, sandbox.failure()
    assert all("init" not in call for call in sandbox.calls[before:]), "a second run must change nothing"


@pytest.mark.parametrize(("role", "token"), [("master", "SWMTKN-m"), ("worker", "SWMTKN-w")])
def test_mode_others_join_with_the_token_of_their_role(tmp_path: Path, role: str, token: str) -> None:
    sandbox = Sandbox(tmp_path, node(MODE, role, master_count=3))
    swarm_docker(sandbox)
    sandbox.program(
        "curl",
        f'case "$*" in\n*/swarm/join) cp {tmp_path}/var/lib/jeroboam/join.json {tmp_path}/joined\n'
        f"touch {tmp_path}/active ;;\n"
        """*10.0.0.5:2375/swarm) echo '{"JoinTokens": {"Manager": "SWMTKN-m", "Worker": "SWMTKN-w"}}' ;;\n"""
        f'*) exit 7 ;;\nesac\necho "curl $*" >>{tmp_path}/calls',
    )
    assert sandbox.run("70-swarm.sh").returncode == 0, sandbox.failure()
    asked = json.loads((tmp_path / "joined").read_text())
    assert asked == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": "10.0.0.6",
        "RemoteAddrs": ["10.0.0.5:2377"],
        "JoinToken": token,
    }
    assert not any("SWMTKN" in call for call in sandbox.calls), "a token on a command line is public on the node"
    assert not (tmp_path / "var/lib/jeroboam/join.json").exists()


def test_api_addresses() -> None:
    for driver, port in ((CLASSIC, "2376"), (MODE, "2375")):
        rendered = driver.render(facts(driver), CREDENTIAL)
        assert rendered.parameters["api_address_format"] == "tcp://ADDRESS:PORT"
        assert rendered.parameters["api_port"] == port


@each_swarm
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"volume_driver": "cinder"}, "volume_driver"),
        ({"registry_enabled": True}, "registry_enabled"),
        ({"apiserver_port": 6443}, "apiserver_port"),
        ({"labels": {"fixed_subnet_cidr": "172.31.4.0/24"}}, "labels/fixed_subnet_cidr"),
        ({"labels": {"fixed_subnet_cidr": "172.16.0.0/15"}}, "labels/fixed_subnet_cidr"),
    ],
)
def test_refused_with_field(driver: Driver, changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        driver.validate(facts(driver, **changes))
    assert refused.value.field == field


def test_flannel_apart_from_dockers_pool() -> None:
    given = {"network_driver": "flannel", "labels": {"flannel_network_cidr": "172.31.0.0/20"}}
    with pytest.raises(InvalidInput, match="docker's pool") as refused:
        CLASSIC.validate(facts(CLASSIC, **given))
    assert refused.value.field == "labels/flannel_network_cidr"
    with pytest.raises(InvalidInput, match="flannel is not supported"):
        MODE.validate(facts(MODE, network_driver="flannel"))
