"""What a nodegroup's nodes are made of, and what their COE is told of them."""

from __future__ import annotations

import dataclasses

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.common.shards import SHARED, pool_footprint, pool_of, shard_stack
from shared.drivers.contract import BayFacts, Driver, RenderedStack
from shared.drivers.footprint import footprint
from shared.drivers.heat_limits import check_size
from shared.drivers.hot import parse, section
from tests.drivers.cases import CREDENTIAL, facts, render, user_data

DRIVERS = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda one: one.name)
TAINTS = ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "slow", "effect": "NoExecute"})


def of_group(driver: Driver, **changes: object) -> BayFacts:
    own = {"nodegroup": "my group", "nodegroup_role": "gpu", "flavor_id": "m1.huge", "image_id": "another"}
    return facts(driver, **{**own, **changes})


def stack_of(driver: Driver, born: RenderedStack, shard: int = 0, count: int = 2) -> RenderedStack:
    told = dict.fromkeys(SHARED, "told")
    return shard_stack(born, shard, driver.resize_parameters(count, ()), told, pool=3)


def environment(driver: Driver, of: BayFacts, role: str = "worker") -> dict[str, str]:
    text = user_data(driver.render(of, CREDENTIAL))[role].files["/etc/jeroboam/bay.env"]["content"]
    return dict(line.split("=", 1) for line in text.splitlines())


@DRIVERS
def test_a_pool_keeps_the_workers_part_and_nothing_of_the_masters(driver: Driver) -> None:
    whole = driver.render(of_group(driver), CREDENTIAL)
    born = pool_of(whole)
    assert born.files.keys() == {"shard.yaml", "worker.yaml", "worker.user-data"}
    assert born.template == born.files["shard.yaml"]
    assert born.parameters["server_image"] == "another"
    assert "m1.huge" in born.parameters.values()
    assert not any(name.startswith("master") for name in born.parameters)
    assert pool_of(driver.render(of_group(driver), CREDENTIAL)) == born


@DRIVERS
def test_its_stacks_have_all_that_the_template_asks_for(driver: Driver) -> None:
    born = pool_of(driver.render(of_group(driver), CREDENTIAL))
    for shard, ending in ((0, "-g3"), (4, "-g3-s4")):
        stack = stack_of(driver, born, shard)
        declared = section(parse(stack.template), "parameters")
        assert stack.parameters.keys() <= declared.keys()
        required = {name for name, one in declared.items() if isinstance(one, dict) and "default" not in one}
        assert required <= stack.parameters.keys()
        assert stack.parameters["node_name_prefix"] == facts(driver).stack_name.lower() + ending
        assert footprint(stack).servers == {"m1.huge": 2}


@DRIVERS
def test_a_thousand_nodes_are_within_heats_limits(driver: Driver) -> None:
    born = pool_of(driver.render(of_group(driver), CREDENTIAL))
    seen: list[int] = []

    def judge(stack: RenderedStack, counted: object) -> None:
        check_size(stack, footprint(stack))
        seen.append(footprint(stack).total)

    assert pool_footprint(driver, born, 1000, judge).servers == {"m1.huge": 1000}
    assert max(seen) <= 1000
    assert pool_footprint(driver, born, 0).servers == {}


@DRIVERS
def test_nodes_are_known_by_their_group(driver: Driver) -> None:
    marks = {"disk": "ssd", "example.org/rack": "7"}
    found = environment(driver, of_group(driver, node_labels=marks))["JB_NODE_LABELS"].strip("'")
    assert found.split() == [
        *("magnum.openstack.org/nodegroup=my-group", "magnum.openstack.org/role=gpu"),
        *("disk=ssd", "example.org/rack=7"),
    ]
    default = environment(driver, facts(driver))["JB_NODE_LABELS"].strip("'")
    assert default == "magnum.openstack.org/nodegroup=default-worker magnum.openstack.org/role=worker"
    master = environment(driver, of_group(driver, node_labels=marks), "master")["JB_NODE_LABELS"].strip("'")
    assert master == "magnum.openstack.org/nodegroup=default-master magnum.openstack.org/role=master"


@DRIVERS
def test_taints_are_given_or_refused(driver: Driver) -> None:
    tainted = of_group(driver, node_taints=TAINTS)
    if not driver.support.node_taints:
        with pytest.raises(InvalidInput, match="node_taints is not supported by this driver") as caught:
            driver.validate(tainted)
        assert caught.value.message.endswith(driver.support.reasons["node_taints"])
        return
    assert environment(driver, tainted)["JB_NODE_TAINTS"].strip("'") == "gpu=yes:NoSchedule slow=:NoExecute"
    assert environment(driver, tainted, "master")["JB_NODE_TAINTS"].strip("'") == ""


def test_mesos_needs_values() -> None:
    driver = registry.by_name("mesos_ubuntu")
    with pytest.raises(InvalidInput, match="Label bare needs a value"):
        driver.validate(of_group(driver, node_labels={"bare": ""}))


def test_the_masters_are_not_touched_by_a_group() -> None:
    driver = registry.by_name("k8s_ubuntu")
    mine = dataclasses.replace(facts(driver), nodegroup="other", node_labels={"a": "b"}, node_taints=TAINTS)
    plain, marked = render(driver, "default"), driver.render(mine, CREDENTIAL)
    assert user_data(plain)["master"] == user_data(marked)["master"]
