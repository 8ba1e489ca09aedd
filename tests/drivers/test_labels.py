"""What is said about labels before a bay is accepted."""

from __future__ import annotations

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.common.labels import MOST_WARNINGS, judge_labels
from shared.drivers.contract import Driver

each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
ATOMIC = registry.by_name("k8s_fedora_atomic")


@each_driver
def test_labels_that_take_effect_need_no_words(driver: Driver) -> None:
    assert judge_labels(driver, {name: rule.default for name, rule in driver.label_rules.items()}) == []
    assert judge_labels(driver, dict.fromkeys(driver.label_rules, "")) == []


def test_unknown_labels_are_warned_about() -> None:
    labels = {"flanel_backend": "udp", "zebra": "1", "calico_tag": "v3.21.2", "flannel_backend": "vxlan"}
    assert judge_labels(ATOMIC, labels) == [
        "Label 'calico_tag' has no effect with driver k8s_fedora_atomic.",
        "Label 'flanel_backend' is not known to driver k8s_fedora_atomic; did you mean flannel_backend?",
        "Label 'zebra' is not known to driver k8s_fedora_atomic; it has no effect.",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flannel_backend", "carrier pigeon"),
        ("flannel_network_cidr", "10.0.0.0"),
        ("flannel_network_cidr", "10.0.0.0/" + "9" * 6000),
        ("flannel_network_subnetlen", "31"),
        ("flannel_network_subnetlen", "-1"),
        ("flannel_network_subnetlen", "9" * 6000),
        ("flannel_network_subnetlen", "٢٤"),
    ],
)
def test_wrong_values_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"Label {name}") as caught:
        judge_labels(ATOMIC, {name: value})
    assert caught.value.field == f"labels/{name}"
    assert len(caught.value.message) < 250


def test_a_warning_can_travel_in_a_header() -> None:
    (said,) = judge_labels(ATOMIC, {'a"b\\c\r\nd\x00é' + "x" * 200: "1"})
    assert said.isascii()
    assert said.isprintable()
    assert '"' not in said
    assert len(said) < 200


def test_many_unknown_labels_cost_little() -> None:
    said = judge_labels(ATOMIC, {f"flannel_backend_{number}": "x" for number in range(5000)})
    assert len(said) == MOST_WARNINGS + 1
    assert said[-1] == "4980 more labels have no effect with driver k8s_fedora_atomic."
