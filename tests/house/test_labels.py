"""The table of labels: every test that it names is there, and no two entries claim one label of one driver."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from shared.domain.labels import LABELS, Label
from shared.drivers import registry
from shared.drivers.common.known_labels import MAGNUM_LABELS

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("label", LABELS, ids=lambda label: f"{label.name}-{'-'.join(sorted(label.drivers))[:40]}")
def test_the_test_of_a_label_is_there(label: Label) -> None:
    file, _, function = label.test.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_no_label_of_a_driver_has_two_rules() -> None:
    for driver in registry.DRIVERS:
        names = Counter(label.name for label in LABELS if label.concerns(driver.name))
        assert not [name for name, count in names.items() if count > 1], driver.name


def test_every_driver_that_is_named_exists() -> None:
    known = {driver.name for driver in registry.DRIVERS} | {"*"}
    assert {name for label in LABELS for name in label.drivers | label.but} <= known


def test_names_are_magnums_or_the_guides() -> None:
    ours = {"rexray-preempt", "server_group_policies", "delete_volumes", "drain_timeout", "drain_on_timeout"}
    """The guide writes the first once; the second is Cluster API's for Magnum (contract §4.4); the rest is ours."""
    assert {label.name for label in LABELS} <= MAGNUM_LABELS | ours
