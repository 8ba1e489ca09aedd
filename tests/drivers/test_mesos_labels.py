"""The labels of Mesos' agents, as files that its packages read."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.registry import find
from tests.drivers.cases import facts
from tests.drivers.nodes import Sandbox, node

DRIVER = find("vm", "ubuntu", "mesos")


def agent(tmp_path: Path, **labels: str) -> Path:
    sandbox = Sandbox(tmp_path, node(DRIVER, "worker", labels=labels))
    done = sandbox.run("50-mesos.worker.sh")
    assert done.returncode == 0, sandbox.failure()
    return tmp_path / "etc/mesos-slave"


def refused(**labels: str) -> str | None:
    with pytest.raises(InvalidInput) as caught:
        DRIVER.validate(facts(DRIVER, labels=labels))
    return caught.value.field


def test_mesos_slave_isolation(tmp_path: Path) -> None:
    folder = agent(tmp_path, mesos_slave_isolation="cgroups/cpu,docker/runtime")
    assert (folder / "isolation").read_text() == "cgroups/cpu,docker/runtime\n"
    assert refused(mesos_slave_isolation="cgroups/gpu") == "labels/mesos_slave_isolation"
    assert refused(mesos_slave_isolation="$(id)") == "labels/mesos_slave_isolation"


def test_mesos_slave_image_providers(tmp_path: Path) -> None:
    folder = agent(tmp_path, mesos_slave_image_providers="docker", mesos_slave_isolation="docker/runtime")
    assert (folder / "image_providers").read_text() == "docker\n"
    assert refused(mesos_slave_image_providers="docker") == "labels/mesos_slave_image_providers"
    assert refused(mesos_slave_image_providers="rkt") == "labels/mesos_slave_image_providers"


def test_mesos_slave_work_dir(tmp_path: Path) -> None:
    assert (agent(tmp_path, mesos_slave_work_dir="/mnt/mesos") / "work_dir").read_text() == "/mnt/mesos\n"
    assert refused(mesos_slave_work_dir="mnt") == "labels/mesos_slave_work_dir"


@pytest.mark.parametrize("name", ["mesos_slave_executor_env_variables", "mesos_slave_executor_environment_variables"])
def test_mesos_slave_executor_env_variables(tmp_path: Path, name: str) -> None:
    folder = agent(tmp_path, **{name: '{"A": "it\'s $b"}'})
    assert (folder / "executor_environment_variables").read_text() == '{"A": "it\'s $b"}\n'
    assert refused(**{name: "{"}) == f"labels/{name}"


def test_nothing_is_written_for_labels_that_are_not_given(tmp_path: Path) -> None:
    assert {path.name for path in agent(tmp_path).iterdir()} == {
        "attributes",
        "containerizers",
        "executor_registration_timeout",
        "hostname",
        "ip",
    }
