"""A bay's labels against its template's (contract §4.1)."""

from __future__ import annotations

import pytest

from shared.domain.label_differences import differences

TEMPLATE = {"kept": "1", "changed": "old", "same": "x"}


@pytest.mark.parametrize("given", [None, {}])
@pytest.mark.parametrize("merge", [True, False])
def test_without_labels_of_its_own_a_bay_has_the_template_s(given: dict[str, str] | None, merge: bool) -> None:
    assert differences(TEMPLATE, given, merge) == (TEMPLATE, {}, {}, {})


def test_labels_replace_the_template_s() -> None:
    found = differences(TEMPLATE, {"changed": "new", "same": "x", "own": "y"}, False)
    assert found.effective == {"changed": "new", "same": "x", "own": "y"}
    assert (found.added, found.overridden, found.skipped) == ({"own": "y"}, {"changed": "old"}, {"kept": "1"})


def test_labels_merge_with_the_template_s() -> None:
    found = differences(TEMPLATE, {"changed": "new", "own": "y"}, True)
    assert found.effective == {"kept": "1", "changed": "new", "same": "x", "own": "y"}
    assert (found.added, found.overridden, found.skipped) == ({"own": "y"}, {"changed": "old"}, {})


def test_values_are_text_and_nothing_given_is_changed() -> None:
    template, given = {"n": 1}, {"flag": True}
    assert differences(template, given, True).effective == {"n": "1", "flag": "True"}
    assert (template, given) == ({"n": 1}, {"flag": True})
    assert differences(None, {"a": "b"}, False) == ({"a": "b"}, {"a": "b"}, {}, {})
