"""The label of classic Swarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers.registry import find
from tests.drivers.cases import facts
from tests.drivers.nodes import Sandbox, node

DRIVER = find("vm", "fedora-atomic", "swarm")


@pytest.mark.parametrize(("label", "strategy"), [({}, "spread"), ({"swarm_strategy": "binpack"}, "binpack")])
def test_swarm_strategy(tmp_path: Path, label: dict[str, str], strategy: str) -> None:
    sandbox = Sandbox(tmp_path, node(DRIVER, "master", labels=label))
    assert sandbox.run("70-swarm.master.sh").returncode == 0, sandbox.failure()
    assert f"--strategy {strategy} " in sandbox.read("/etc/systemd/system/swarm-manager.service")


def test_another_strategy_is_refused() -> None:
    with pytest.raises(InvalidInput, match="allowed: spread, binpack, random") as refused:
        DRIVER.validate(facts(DRIVER, labels={"swarm_strategy": "best"}))
    assert refused.value.field == "labels/swarm_strategy"
