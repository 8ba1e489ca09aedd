"""What a stack takes, counted before it exists. tests/openstack/test_headroom.py compares it with what Heat makes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.domain.shards import LARGEST
from shared.drivers import registry
from shared.drivers.common.shards import whole_footprint
from shared.drivers.common.stack import StackDriver
from shared.drivers.contract import Driver, RenderedStack
from shared.drivers.footprint import Footprint, Volumes, difference, footprint, need
from shared.drivers.heat_limits import HeatLimits, check_size, request_bytes
from shared.drivers.hot import LIST
from shared.openstack.nova import Flavor
from tests.drivers.cases import CREDENTIAL, PAIRS, cases, facts, render, resources

each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
FLAVORS = {"m1.small": Flavor("2", "m1.small", 1, 2048, 20), "m1.medium": Flavor("3", "m1.medium", 2, 4096, 40)}


def sized(driver: Driver, **changes: Any) -> Footprint:
    given = facts(driver, **changes)
    return whole_footprint(driver, driver.render(given, CREDENTIAL), given.node_count)


@pytest.mark.parametrize(("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_every_stack_can_be_counted(driver: Driver, case: str) -> None:
    stack, given = render(driver, case), facts(driver, **cases(driver)[case])
    assert isinstance(driver, StackDriver)
    found = footprint(stack)
    masters, servers = given.master_count, given.master_count + 2
    assert found.servers == {"m1.medium": masters, "m1.small": 2}
    declared = {kind for kind in found.resources if any(resources(stack, kind))}
    assert declared | {name for name in stack.files if name.endswith(".yaml")} >= found.resources.keys()
    boot, own = (int(driver.label(given, f"{name}_volume_size") or 0) for name in ("boot", "etcd"))
    holders = servers if driver.docker_on_masters else 2
    sizes = {holders: given.docker_volume_size or 0, masters: own} | ({-servers: boot} if boot else {})
    gigabytes = sum(abs(number) * size for number, size in sizes.items())
    assert sum(one.gb for one in found.volumes.values()) == gigabytes
    made = 0 if given.fixed_network else 1
    balancer = 1 if given.master_lb_enabled else 0
    assert (found.networks, found.subnets, found.routers) == (made, made, made)
    assert found.ports == servers + made + balancer
    assert (found.load_balancers, found.pool_members) == (balancer, balancer * masters)
    assert found.floating_ips == (servers + balancer if given.floating_ip_enabled else 0)
    check_size(stack, found)


@each_driver
def test_a_node_more_costs_the_same_each_time(driver: Driver) -> None:
    size = 7 if driver.support.docker_volume else None
    one, two, many = (sized(driver, node_count=count, docker_volume_size=size) for count in (1, 2, 71))
    step = difference(two, one)
    floating = 1 if driver.support.floating_ip[0] else 0
    assert (step.servers, step.volumes) == ({"m1.small": 1}, {"": Volumes(1, size)} if size else {})
    assert (step.ports, step.floating_ips, step.security_groups, step.networks) == (1, floating, 0, 0)
    more = difference(many, one)
    assert more.total == 70 * step.total
    assert more.stacks == 70 * step.stacks
    seventy = dict.fromkeys(("servers", "cores", "ports"), 70) | {"ram_mb": 143_360}
    seventy |= {"floating_ips": 70} if floating else {}
    seventy |= {"volumes": 70, "volume_gb": 490} if size else {}
    assert need(more, FLAVORS) == seventy
    assert difference(one, many).total == 0
    assert need(difference(one, many), FLAVORS) == {}
    none = sized(driver, node_count=0)
    assert none.servers == {"m1.medium": 1}


@each_driver
def test_a_large_bay_is_spread_over_stacks_that_heat_takes(driver: Driver) -> None:
    """With everything that a node can have, each stack stays within Heat's limits as it ships."""
    given = cases(driver)["everything"] | {"node_count": 500, "master_count": max(driver.support.master_counts)}
    given["labels"] = {**given["labels"], "fixed_subnet_cidr": "10.8.0.0/20"}
    first, seen = driver.render(facts(driver, **given), CREDENTIAL), []

    def judge(stack: RenderedStack, counted: Footprint) -> None:
        check_size(stack, counted)
        seen.append(counted.server_count)

    whole = whole_footprint(driver, first, 500, judge)
    assert whole.servers["m1.small"] == 500
    assert seen == [LARGEST + given["master_count"], LARGEST, 500 % LARGEST]
    assert whole.networks <= 1


@each_driver
def test_a_stack_too_large_is_refused_with_the_figures(driver: Driver) -> None:
    stack = driver.render(facts(driver, node_count=50), CREDENTIAL)
    with pytest.raises(InvalidInput, match=r"would have \d+ resources, and Heat takes 100") as caught:
        check_size(stack, footprint(stack), HeatLimits(resources=100))
    assert caught.value.field == "node_count"
    check_size(stack, footprint(stack), HeatLimits(resources=-1))


@each_driver
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (HeatLimits(template_characters=5000), "template would have .* Heat takes 5000"),
        (HeatLimits(request_bytes=50_000), "request .* Heat takes 50000"),
        (HeatLimits(user_data_bytes=30_000), "user-data .* Nova takes 30000"),
    ],
)
def test_other_sizes_are_judged(driver: Driver, limits: HeatLimits, said: str) -> None:
    stack = render(driver, "default")
    with pytest.raises(InvalidInput, match=said):
        check_size(stack, footprint(stack), limits)
    assert request_bytes(stack) > len(stack.template) + sum(map(len, stack.files.values()))


TEMPLATE = """
heat_template_version: 2018-03-02
parameters:
  count: {type: number, default: 2}
  flavor: {type: string, default: small}
  more: {type: boolean, default: false}
  names: {type: comma_delimited_list, default: "a,b"}
conditions:
  wanted: {get_param: more}
  unwanted: {not: wanted}
  certain: {or: [wanted, {equals: [{get_param: count}, 2]}]}
  both: {and: [wanted, certain]}
  later: {equals: [{get_resource: net}, x]}
resources:
  net: {type: OS::Neutron::Net}
  maybe: {type: OS::Neutron::Net, condition: wanted}
  instead: {type: OS::Neutron::Subnet, condition: unwanted}
  surely: {type: OS::Neutron::Port, condition: certain}
  never: {type: OS::Neutron::Router, condition: both}
  unclear: {type: OS::Neutron::FloatingIP, condition: later}
  open:
    type: OS::Neutron::SecurityGroup
    properties: {rules: [{protocol: icmp}, {direction: egress, protocol: tcp}]}
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      resource_def: {type: Own::Member, properties: {flavor: {get_param: flavor}, secret: {get_attr: [net, show]}}}
"""
MEMBER = """
heat_template_version: 2018-03-02
parameters: {flavor: {type: string}, secret: {type: string}}
resources:
  random: {type: OS::Heat::RandomString, properties: {length: 100}}
  server:
    type: OS::Nova::Server
    properties:
      flavor: {get_param: flavor}
      networks: [{network: a}, {port: b}]
      block_device_mapping_v2: [{image: i, volume_size: 20, volume_type: ssd}, {volume_id: v, volume_size: 5}]
      user_data_format: RAW
      user_data:
        str_replace: {template: "S and N", params: {S: {get_attr: [random, value]}, N: {get_param: secret}}}
"""


def stack(template: str = TEMPLATE, **parameters: str) -> RenderedStack:
    registry_of: dict[str, object] = {"resource_registry": {"Own::Member": "member.yaml"}}
    return RenderedStack(
        template=template, files={"member.yaml": MEMBER}, environment=registry_of, parameters=parameters
    )


def test_conditions_groups_and_what_comes_along() -> None:
    found = footprint(stack())
    assert (found.networks, found.subnets, found.routers, found.floating_ips) == (1, 1, 0, 1)
    assert found.ports == 1 + 2, "one of the template, one for the network of each server that named no port"
    assert found.security_group_rules == 2, "Heat drops the default rules when one for egress is given"
    assert found.servers == {"small": 2}
    assert found.volumes == {"ssd": Volumes(2, 40)}
    assert found.stacks == 3
    assert found.resources["member.yaml"] == 2
    assert need(found, {"small": FLAVORS["m1.small"]})["volume_gb:ssd"] == 40
    more = footprint(stack(more="true", count="3", flavor="big"))
    assert (more.networks, more.subnets, more.routers, more.servers) == (2, 0, 1, {"big": 3})


def test_user_data_is_bounded_from_above() -> None:
    longest = 100 + len(" and ") + LIST
    assert footprint(stack()).user_data_bytes == 4 * -(-longest // 3)
    known = TEMPLATE.replace("{get_attr: [net, show]}", "text")
    assert footprint(stack(known)).user_data_bytes == 4 * -(-(100 + len(" and ") + len("text")) // 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{get_param: count}", "{get_attr: [net, mtu]}", "count is"),
        ("flavor: {get_param: flavor}", "flavor: {get_resource: net}", "flavor cannot be told"),
        ("Own::Member", "absent.yaml", "no file absent.yaml"),
        ("heat_template_version", ": [", "no YAML"),
    ],
)
def test_what_cannot_be_counted_is_the_driver_s_fault(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        footprint(stack(TEMPLATE.replace(old, new, 2)))


def test_a_template_within_itself_ends() -> None:
    endless = dataclasses.replace(
        stack(TEMPLATE.replace("Own::Member", "loop.yaml")), files={"loop.yaml": "resources: {a: {type: loop.yaml}}"}
    )
    with pytest.raises(ValueError, match="deep"):
        footprint(endless)


def test_a_condition_that_refers_to_itself_ends() -> None:
    text = "conditions: {a: {not: b}, b: a}\nresources: {net: {type: 'OS::Neutron::Net', condition: a}}"
    with pytest.raises(ValueError, match="refers to itself"):
        footprint(stack(text))
