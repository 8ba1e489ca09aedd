"""What runs on the nodes and who may log in: the guide's lists, against what the rendered user-data starts."""

from __future__ import annotations

import pytest

from shared.drivers import registry
from tests.api.harness import System
from tests.guide.facts import EVERY, PROMISES, Promise
from tests.guide.rehearsed import bare, place, rehearsed

each_driver = pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)


def test_there_is_a_driver_for_each_that_the_guide_names() -> None:
    missing = {one.name for one in PROMISES} - {driver.name for driver in registry.DRIVERS}
    assert missing == set()


def test_every_driver_says_what_it_runs() -> None:
    """Those that the guide does not know, too."""
    assert {driver.name for driver in registry.DRIVERS} - {one.name for one in EVERY} == set()


@each_driver
def test_units_and_containers(system: System, told: Promise) -> None:
    nodes = rehearsed(system, {**bare(told), **place(system, told)}).nodes
    assert nodes.keys() == {"master", "worker"}
    for kind, seen in (
        ("systemd", [one.units for one in nodes.values()]),
        ("containers", [one.containers for one in nodes.values()]),
    ):
        assert frozenset().union(*seen) == told.running(kind), kind


@each_driver
def test_flannel_runs_only_where_it_is_the_network_driver(system: System, told: Promise) -> None:
    """As a unit; the Kubernetes of our own driver runs it as a daemon set."""
    for network_driver in told.driver.support.network_drivers:
        body = {**bare(told), **place(system, told), "network_driver": network_driver}
        nodes = rehearsed(system, body).nodes
        flannel = {role: "flanneld" in one.units for role, one in nodes.items()}
        assert set(flannel.values()) == {network_driver == "flannel" and bool(told.heading)}, flannel


@each_driver
def test_who_logs_in(system: System, told: Promise) -> None:
    for one in rehearsed(system, {**bare(told), **place(system, told)}).nodes.values():
        assert told.login["name"] in one.logins


@each_driver
def test_the_reasons_for_what_is_ours(told: Promise) -> None:
    """Nothing of the guide's own is called ours, and each has its reason."""
    for kind, listed in (("systemd", told.systemd), ("containers", told.containers)):
        ours = told.ours.get(kind, {})
        assert not ours.keys() & {told.units.get(name, name) for name in listed}
        assert all(ours.values())
