"""What a bay has of which nobody says anything: the guide's defaults for baymodels, later Magnum's for templates."""

from __future__ import annotations

from typing import Final

import pytest

from tests.api.fidelity.defaults import DEFAULTS, NONE
from tests.api.harness import System
from tests.guide.facts import DRIVER_OF, EVERY, GUIDE, PROMISES, Promise, promise
from tests.guide.rehearsed import Rehearsed, bare, place, rehearsal, rehearsed, template

KUBERNETES: Final = promise("k8s_fedora_atomic")


def body(path: str) -> dict[str, object]:
    """A template that says only what it must; a bay of a cluster template needs its external network named."""
    return bare(KUBERNETES) if path == "baymodels" else {**bare(KUBERNETES), "external_network_id": "public"}


def test_the_table_has_the_guide_s_values() -> None:
    told = {**GUIDE["defaults"], **{name: one for name, one in GUIDE["labels"].items() if "default" in one}}
    values = {
        name: one.get("by_coe", {}).get("kubernetes") or one.get("value", one.get("default"))
        for name, one in told.items()
    }
    assert {one.name: one.guide for one in DEFAULTS} == {
        name: NONE if value is None else str(value) for name, value in values.items()
    }


@pytest.mark.parametrize("path", ["baymodels", "clustertemplates"])
def test_attributes_that_nobody_gave(system: System, path: str) -> None:
    answer = template(system, bare(KUBERNETES), path)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    for one in DEFAULTS:
        if one.name in shown and one.name != "dns_nameserver":
            wanted = one.baymodel if path == "baymodels" else one.template
            assert str(shown[one.name] or "") == wanted, one.name
    assert shown["dns_nameserver"] == ("8.8.8.8" if path == "baymodels" else None), "later Magnum leaves it to Heat"


@pytest.mark.parametrize("path", ["baymodels", "clustertemplates"])
def test_they_reach_heat_and_the_nodes(system: System, path: str) -> None:
    bay = rehearsed(system, body(path), path)
    for one in DEFAULTS:
        wanted = one.baymodel if path == "baymodels" else one.template
        if one.name == "external_network_id":
            continue
        assert effective(bay, one.name) == wanted, one.name


async def test_the_network_of_that_name_is_found(system: System) -> None:
    """Heat gets the id of the network that the guide calls public."""
    (found,) = [
        one for one in system.control("GET", "/state?kind=network")["records"]["network"] if one["name"] == "public"
    ]
    assert rehearsed(system, body("baymodels")).parameters["external_network"] == found["id"]


def test_later_magnum_leaves_the_external_network_to_the_user(system: System) -> None:
    made = template(system, bare(KUBERNETES), "clustertemplates").json()
    answer = system.call("POST", "/v1/clusters", {"cluster_template_id": made["uuid"]})
    assert answer.status_code == 400
    assert "external_network_id" in answer.text


@pytest.mark.parametrize(("coe", "driver"), DRIVER_OF.items())
def test_the_network_driver_of_each_engine(system: System, coe: str, driver: str) -> None:
    for path in ("baymodels", "clustertemplates"):
        answer = template(system, bare(promise(driver)), path)
        assert answer.status_code == 201, answer.text
        assert answer.json()["network_driver"] == GUIDE["defaults"]["network_driver"]["by_coe"][coe]


@pytest.mark.parametrize("told", PROMISES, ids=lambda one: one.name)
def test_labels_have_the_guide_s_defaults_in_the_guide_s_drivers(told: Promise) -> None:
    if "flannel" in told.driver.support.network_drivers:
        for name, label in GUIDE["labels"].items():
            assert "default" not in label or told.driver.label_rules[name].default == label["default"]


def test_removed_ones_come_back(system: System) -> None:
    """As absent ones: who changes a baymodel by a patch gets what a new one would have."""
    given = {"docker_volume_size": 9, "dns_nameserver": "1.1.1.1", "docker_storage_driver": "overlay"}
    made = template(system, {**bare(KUBERNETES), **given}).json()
    patch = [{"op": "remove", "path": f"/{name}"} for name in given]
    changed = system.call("PATCH", f"/v1/baymodels/{made['uuid']}", patch).json()
    assert {name: changed[name] for name in given} == {name: GUIDE["defaults"][name]["value"] for name in given}


def test_what_was_not_given_may_be_added(system: System) -> None:
    """Clients `add` what they have not given, as in Magnum, where such an attribute is null."""
    made = template(system, bare(KUBERNETES)).json()
    patch = [{"op": "add", "path": "/docker_volume_size", "value": 7}]
    changed = system.call("PATCH", f"/v1/baymodels/{made['uuid']}", patch)
    assert (changed.status_code, changed.json()["docker_volume_size"]) == (200, 7)
    again = system.call("PATCH", f"/v1/baymodels/{made['uuid']}", patch)
    assert again.status_code == 400, "it has been given now"


def test_a_cluster_template_renamed_as_a_baymodel_keeps_what_it_has(system: System) -> None:
    made = template(system, bare(KUBERNETES), "clustertemplates").json()
    patch = [{"op": "replace", "path": "/name", "value": "renamed"}]
    changed = system.call("PATCH", f"/v1/baymodels/{made['uuid']}", patch).json()
    assert (changed["name"], changed["docker_volume_size"], changed["dns_nameserver"]) == ("renamed", None, None)


@pytest.mark.parametrize("told", EVERY, ids=lambda one: one.name)
@pytest.mark.parametrize("path", ["baymodels", "clustertemplates"])
def test_a_default_gives_way_where_the_driver_cannot_have_it(system: System, told: Promise, path: str) -> None:
    """So that a bay of a bare template can be made with every driver; what is asked for in so many words is refused."""
    shown = template(system, bare(told), path).json()
    support = told.driver.support
    usual = {one.name: one.baymodel if path == "baymodels" else one.template for one in DEFAULTS}
    size, storage = usual["docker_volume_size"], usual["docker_storage_driver"]
    assert str(shown["docker_volume_size"] or NONE) == (size if support.docker_volume else NONE)
    fits = not support.storage_drivers or storage in support.storage_drivers
    assert shown["docker_storage_driver"] == (storage if fits else support.storage_drivers[0])
    rehearsed(system, {**bare(told), **place(system, told), "external_network_id": "public"}, path)
    if not fits:
        answer = rehearsal(system, {**bare(told), "docker_storage_driver": storage}, path)
        assert answer.status_code == 400
        assert "docker_storage_driver" in answer.text


def effective(bay: Rehearsed, name: str) -> str:
    """What the stack, or the nodes' software, is told of an attribute or label."""
    facts = bay.nodes["worker"].environment
    flannel = bay.nodes["worker"].flannel
    match name:
        case "flannel_network_cidr":
            return str(flannel["Network"])
        case "flannel_network_subnetlen":
            return str(flannel["SubnetLen"])
        case "flannel_backend":
            return str(flannel["Backend"]["Type"])
        case "docker_storage_driver":
            return facts["JB_DOCKER_STORAGE_DRIVER"]
        case "network_driver":
            return "flannel" if "flanneld" in bay.nodes["worker"].units else "docker"
        case "docker_volume_size":
            return bay.parameters[name] if bay.parameters[name] != "0" else NONE
        case _:
            return bay.parameters[name]
