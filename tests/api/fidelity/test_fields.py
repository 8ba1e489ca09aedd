"""The tables of fields: they agree with the OpenAPI document, and each difference has its reason."""

from __future__ import annotations

import pytest

from tests.api.fidelity.fields import VIEWS, View
from tests.api.fidelity.model import EVERY
from tests.api.harness import System


@pytest.mark.parametrize("view", [view for view in VIEWS.values() if view.model], ids=lambda view: str(view.model))
def test_the_openapi_document_has_the_same_fields(system: System, view: View) -> None:
    schemas = system.call("GET", "/openapi.json", user=None).json()["components"]["schemas"]
    assert set(schemas[view.model]["properties"]) == {name for version in EVERY for name in view.ours(version)}


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: str(view.title))
def test_a_reason_is_given_where_there_is_a_difference(view: View) -> None:
    assert [one.name for one in view.fields if (one.magnum != one.ours) != bool(one.why)] == []
    assert len({one.name for one in view.fields}) == len(view.fields)
