"""The guide's two support tables, cell by cell, and the storage driver that it names."""

from __future__ import annotations

import pytest

from tests.api.harness import System, detail
from tests.guide.facts import CELLS, DRIVER_OF, EVERY, GUIDE, Cell, Promise, promise
from tests.guide.rehearsed import bare, place, rehearsal, rehearsed

each_driver = pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_each_cell(system: System, cell: Cell) -> None:
    body = {**bare(promise(DRIVER_OF[cell.coe])), cell.attribute: cell.value}
    answer = rehearsal(system, body)
    if cell.supported:
        assert answer.status_code == 200, answer.text[:300]
        return
    said = detail(answer)
    assert answer.status_code == 400
    field = cell.attribute.replace("_", " ").capitalize()
    assert said.startswith(f"{field} type {cell.value} is not supported, expecting a "), (
        "which field, and what it takes"
    )
    others = [one.value for one in CELLS if (one.attribute, one.coe, one.supported) == (cell.attribute, cell.coe, True)]
    assert all(other in said for other in others)


@each_driver
def test_the_driver_s_own_table_has_no_other_cell(told: Promise) -> None:
    """A driver may leave out what its image cannot do; it may not add what the guide calls unsupported."""
    support = told.driver.support
    for attribute, values in (("network_driver", support.network_drivers), ("volume_driver", support.volume_drivers)):
        column = "swarm" if told.coe == "swarm-mode" else told.coe
        cells = [one for one in CELLS if (one.attribute, one.coe) == (attribute, column)]
        assert {one.value for one in cells if one.supported} >= set(values)
        if told.heading and told.fully_supported:
            assert {one.value for one in cells if one.supported} == set(values)


@each_driver
def test_the_default_network_driver_is_the_first(told: Promise) -> None:
    column = "swarm" if told.coe == "swarm-mode" else told.coe
    assert told.driver.support.network_drivers[0] == GUIDE["defaults"]["network_driver"]["by_coe"][column]


@each_driver
def test_the_storage_driver(told: Promise) -> None:
    """The guide's is taken and is what a bay gets; overlay, which it considers, came with Magnum's next release."""
    table = GUIDE["support"]["docker_storage_driver"]
    drivers = told.driver.support.storage_drivers
    if told.heading:
        assert drivers[0] == table["supported"][0]
        assert set(drivers) <= {*table["supported"], *table["considered"], "overlay2"}


@each_driver
def test_several_masters_with_and_without_a_load_balancer(system: System, told: Promise) -> None:
    """Counts that the driver has are taken; others are refused with the reason."""
    support = told.driver.support
    for count in (1, 3, 5):
        for balanced in (False, True):
            body = {**bare(told), "master_lb_enabled": balanced, **place(system, told)}
            answer = rehearsal(system, body, master_count=count)
            fits = count in support.master_counts and (support.load_balancer or not balanced)
            assert answer.status_code == (200 if fits else 400), answer.text[:300]
            if fits:
                assert answer.json()["parameters"]["number_of_masters"] == str(count)
            else:
                assert "not supported by this driver" in detail(answer)


@each_driver
def test_floating_addresses_or_none(system: System, told: Promise) -> None:
    for wanted in (True, False):
        body = {**bare(told), "floating_ip_enabled": wanted, **place(system, told)}
        answer = rehearsal(system, body)
        assert answer.status_code == (200 if wanted in told.driver.support.floating_ip else 400), answer.text[:300]
        if answer.status_code == 200:
            assert answer.json()["parameters"]["floating_ip_enabled"] == str(wanted).lower()


@each_driver
def test_a_registry_of_each_kind(system: System, told: Promise) -> None:
    support = told.driver.support
    for change, fits in (
        ({"registry_enabled": True}, support.registry),
        ({"insecure_registry": "10.1.1.1:5000"}, support.insecure_registry),
    ):
        answer = rehearsal(system, {**bare(told), **place(system, told), **change})
        assert answer.status_code == (200 if fits else 400), answer.text[:300]
        if not fits:
            assert next(iter(change)) in detail(answer)
    if support.insecure_registry:
        bay = rehearsed(system, {**bare(told), **place(system, told), "insecure_registry": "10.1.1.1:5000"})
        assert {one.environment["JB_INSECURE_REGISTRY"] for one in bay.nodes.values()} == {"10.1.1.1:5000"}
