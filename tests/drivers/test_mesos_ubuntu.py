"""What is particular to Mesos on Ubuntu: ZooKeeper's quorum, Mesos, Marathon, and what the node looks at itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.registry import find
from tests.drivers.cases import CREDENTIAL, facts, templates
from tests.drivers.nodes import Sandbox, environment, node

DRIVER = find("vm", "ubuntu", "mesos")


def test_masters_are_a_zookeeper_ensemble_and_know_their_quorum(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(DRIVER, "master", master_count=3))
    for part in ("40-zookeeper.master.sh", "50-mesos.master.sh", "60-marathon.master.sh"):
        done = sandbox.run(part)
        assert done.returncode == 0, sandbox.failure()
    assert sandbox.read("/etc/zookeeper/conf/myid") == "2\n"
    servers = [line for line in sandbox.read("/etc/zookeeper/conf/zoo.cfg").splitlines() if line.startswith("server.")]
    assert servers == [f"server.{n}=10.0.0.{n + 4}:2888:3888" for n in (1, 2, 3)]
    ensemble = "zk://10.0.0.5:2181,10.0.0.6:2181,10.0.0.7:2181"
    assert sandbox.read("/etc/mesos/zk") == f"{ensemble}/mesos\n"
    assert sandbox.read("/etc/mesos-master/quorum") == "2\n"
    assert sandbox.read("/etc/mesos-master/cluster") == "web\n"
    assert sandbox.read("/etc/marathon/conf/zk") == f"{ensemble}/marathon\n"
    assert "systemctl restart marathon" in sandbox.calls
    assert "systemctl disable mesos-slave" in sandbox.calls


def test_one_master_is_its_own_quorum(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(DRIVER, "master"), {"@@MASTER_ADDRESSES@@": "10.0.0.5"})
    assert sandbox.run("50-mesos.master.sh").returncode == 0, sandbox.failure()
    assert sandbox.read("/etc/mesos-master/quorum") == "1\n"


def test_agents_find_the_masters_and_run_no_master_themselves(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, node(DRIVER, "worker"))
    assert sandbox.run("50-mesos.worker.sh").returncode == 0, sandbox.failure()
    assert sandbox.read("/etc/mesos/zk").endswith("10.0.0.7:2181/mesos\n")
    assert sandbox.read("/etc/mesos-slave/containerizers") == "docker,mesos\n"
    stopped = {call.split()[-1] for call in sandbox.calls if call.startswith("systemctl stop")}
    assert stopped == {"mesos-master", "zookeeper", "marathon"}


def test_dockers_storage_and_registry_are_written_beside_what_the_image_has(tmp_path: Path) -> None:
    given = {"docker_storage_driver": "overlay2", "insecure_registry": "registry.example.org:5000"}
    sandbox = Sandbox(tmp_path, node(DRIVER, "worker", **given))
    sandbox.put("/etc/docker/daemon.json", '{"debug": true}')
    assert sandbox.run("30-docker-storage.worker.sh").returncode == 0, sandbox.failure()
    text = sandbox.read("/etc/docker/daemon.json")
    assert '"debug": true' in text
    assert '"storage-driver": "overlay2"' in text
    assert "registry.example.org:5000" in text


def test_masters_get_no_volume_for_containers_that_they_do_not_run() -> None:
    rendered = DRIVER.render(facts(DRIVER, docker_volume_size=4), CREDENTIAL)
    assert rendered.parameters["docker_volume_size"] == "4"
    assert rendered.parameters["master_docker_volume_size"] == "0"


def test_the_api_address_is_an_address_alone() -> None:
    rendered = DRIVER.render(facts(DRIVER), CREDENTIAL)
    assert rendered.parameters["api_address_format"] == "ADDRESS"
    assert rendered.parameters["api_port"] == "8080"
    ports = {
        rule["port_range_min"]
        for rule in templates(rendered)["security.yaml"]["resources"]["secgroup_mesos_master"]["properties"]["rules"]
        if isinstance(rule["port_range_min"], int)
    }
    assert ports == {5050}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"network_driver": "flannel"}, "network_driver"),
        ({"volume_driver": "cinder"}, "volume_driver"),
        ({"registry_enabled": True}, "registry_enabled"),
        ({"apiserver_port": 6443}, "apiserver_port"),
        ({"discovery_url": "http://etcd.example.org/token"}, "discovery_url"),
        ({"master_count": 2}, "master_count"),
    ],
)
def test_refused_with_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DRIVER.validate(facts(DRIVER, **changes))
    assert refused.value.field == field


def test_a_user_who_expects_tls_is_told_that_there_is_none() -> None:
    assert any("no TLS" in sentence for sentence in DRIVER.advice(facts(DRIVER)))
    assert not DRIVER.advice(facts(DRIVER, tls_disabled=True))


def test_login_and_units() -> None:
    (user,) = node(DRIVER, "worker").config["users"]
    assert user["name"] == "ubuntu"
    assert environment(DRIVER, "master")["JB_UNITS"] == "zookeeper mesos-master marathon"
    assert environment(DRIVER, "worker")["JB_UNITS"] == "docker mesos-slave"
    assert environment(DRIVER, "worker", volume_driver="rexray")["JB_UNITS"] == "docker mesos-slave rexray"
