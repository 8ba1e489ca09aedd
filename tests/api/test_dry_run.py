"""A bay's rehearsal against its real render: they differ in what the rehearsal names, and in nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

import pytest

from services.api.usecases.dry_run import SECRET, preview, rehearse
from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.contract import BayFacts, Driver
from shared.drivers.heat_limits import HeatLimits
from shared.openstack.nova import Flavor
from tests.drivers.agent_pki import Authority
from tests.drivers.cases import CREDENTIAL, PAIRS, cases
from tests.drivers.cases import SECRET as CREDENTIAL_SECRET
from tests.drivers.cases import facts as facts_of

each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
FLAVORS = {"m1.small": Flavor("2", "m1.small", 1, 2048, 20), "m1.medium": Flavor("3", "m1.medium", 2, 4096, 40)}


def shown(driver: Driver, facts: BayFacts, warnings: list[str] | None = None) -> dict[str, Any]:
    """What a dry run answers."""
    given = dataclasses.replace(facts, bay_id="x", stack_name="y", operation_id="z", ca_pem="made after acceptance")
    told = preview(driver, given, rehearse(driver, given), warnings=warnings or [], flavors=FLAVORS)
    answer: dict[str, Any] = json.loads(json.dumps(told))
    return answer


@pytest.mark.parametrize(("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_only_what_is_named_differs_from_the_real_stack(driver: Driver, case: str) -> None:
    facts = facts_of(driver, **cases(driver)[case])
    real, dry = driver.render(facts, CREDENTIAL), shown(driver, facts)
    assert dry["template"] == real.template
    assert dry["environment"] == real.environment
    later = {one["parameter"] for one in dry["not_known_yet"] if "parameter" in one}
    assert dry["parameters"].keys() == real.parameters.keys()
    differing = {name for name, value in real.parameters.items() if dry["parameters"][name] != value}
    assert differing == later
    assert {"jeroboam_bay", "jeroboam_operation"} <= later
    files = {one["file"] for one in dry["not_known_yet"] if "file" in one}
    assert {name for name, text in real.files.items() if dry["files"][name] != text} <= files
    assert dry["files"].keys() == real.files.keys()
    assert all(one["why"] for one in dry["not_known_yet"])


@pytest.mark.parametrize(
    "driver", [one for one in registry.DRIVERS if one.support.volume_drivers], ids=lambda one: one.name
)
def test_secrets_are_not_shown(driver: Driver) -> None:
    dry = shown(driver, facts_of(driver, volume_driver=driver.support.volume_drivers[0]))
    assert SECRET in dry["parameters"].values()
    assert CREDENTIAL_SECRET not in json.dumps(dry)
    assert SECRET not in shown(driver, facts_of(driver))["parameters"].values()


@each_driver
def test_what_it_would_take(driver: Driver) -> None:
    size = 5 if driver.support.docker_volume else None
    facts = facts_of(driver, node_count=3, docker_volume_size=size, labels={"some": "label"})
    dry = shown(driver, facts, ["Label 'some' is not known."])
    assert (dry["driver"], dry["effective_labels"]) == (driver.name, {"some": "label"})
    assert dry["warnings"] == ["Label 'some' is not known."]
    found = dry["footprint"]
    assert found["servers"] == {"m1.medium": 1, "m1.small": 3}
    assert (found["cores"], found["ram_mb"]) == (5, 10_240)
    assert found["volume_gb"] == 5 * found["volumes"] == (0 if size is None else 5 * found["volumes"])
    assert (found["volumes"] >= 3) == (size is not None)
    assert found["resources"] == sum(dry["resources"].values())
    assert shown(driver, facts_of(driver))["footprint"]["volumes"] == 0


@each_driver
def test_the_stand_in_is_no_shorter_than_a_real_certificate(driver: Driver) -> None:
    """Else a bay could be let through whose user-data is too long once it is made."""
    facts = facts_of(driver)
    kind: Literal["ec", "rsa"] = "rsa" if driver.ca_key == "rsa2048" else "ec"
    real = driver.render(dataclasses.replace(facts, ca_pem=Authority("b" * 64, kind).pem), CREDENTIAL)
    dry = rehearse(driver, facts).stack
    assert all(len(dry.files[name]) >= len(text) for name, text in real.files.items())
    assert len(dry.parameters["ca_pem"]) >= len(real.parameters["ca_pem"]) > 500


@each_driver
def test_what_is_too_large_is_refused_in_the_rehearsal(driver: Driver) -> None:
    with pytest.raises(InvalidInput, match="Heat takes 100") as caught:
        rehearse(driver, facts_of(driver, node_count=50), HeatLimits(resources=100))
    assert caught.value.field == "node_count"
    assert rehearse(driver, facts_of(driver, node_count=1000)).footprint.servers["m1.small"] == 1000
    with pytest.raises(InvalidInput, match="Nova takes 65535"):
        rehearse(driver, facts_of(driver, no_proxy=",".join(f"10.{n // 250}.{n % 250}.1" for n in range(9000))))
