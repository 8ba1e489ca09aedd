"""Which server groups a bay has, and whose a group is by its name."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.domain import names
from shared.domain.headroom import need_of_groups

STACK = names.stack_name("my bay", UUID("0f7c2d9e-1111-4222-8333-944444444444"), 2)


@pytest.mark.parametrize(
    ("masters", "labels", "expected"),
    [
        (1, {}, {}),
        (1, {"server_group_policies": ""}, {}),
        (3, {}, {"master": (f"{STACK}-masters", "soft-anti-affinity")}),
        (1, {"server_group_policies": "affinity"}, {"worker": (f"{STACK}-nodes", "affinity")}),
        (
            5,
            {"server_group_policies": "anti-affinity"},
            {"master": (f"{STACK}-masters", "anti-affinity"), "worker": (f"{STACK}-nodes", "anti-affinity")},
        ),
    ],
)
def test_who_has_which(masters: int, labels: dict[str, str], expected: dict[str, tuple[str, str]]) -> None:
    found = names.server_groups(STACK, masters, labels)
    assert found == expected
    assert {names.group_owner(group.name) for group in found.values()} <= {STACK}


@pytest.mark.parametrize("name", ["web-masters", f"{STACK}", f"{STACK}-x", "a-0f7c2d9e1111-nodes", ""])
def test_a_group_of_somebody_else(name: str) -> None:
    assert names.group_owner(name) is None


def test_the_largest_group_counts_for_the_quota_of_members() -> None:
    assert need_of_groups([3, 12]) == {"server_groups": 2, "server_group_members": 12}
    assert need_of_groups([]) == {}
