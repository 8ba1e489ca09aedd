"""Needs against what quotas leave."""

from __future__ import annotations

from shared.domain.headroom import NOUNS, Allowance, shortfall


def test_every_short_resource_is_told_with_its_figures() -> None:
    need = {"volume_gb": 48, "servers": 3, "ports": 4, "volume_gb:ssd": 48}
    allowed = {
        "servers": Allowance(10, 9),
        "ports": Allowance(500, 1),
        "volume_gb": Allowance(1000, 990),
        "volume_gb:ssd": Allowance(20, 0),
    }
    assert shortfall(need, allowed) == [
        "3 servers needed, 1 left of 10",
        "48 GB of volumes needed, 10 left of 1000",
        "48 GB of volumes of type ssd needed, 20 left of 20",
    ]


def test_one_is_told_as_one() -> None:
    assert shortfall({"floating_ips": 1}, {"floating_ips": Allowance(0, 0)}) == [
        "1 floating address needed, 0 left of 0"
    ]


def test_exactly_fitting_unlimited_and_unknown_are_no_shortfall() -> None:
    need = dict.fromkeys(NOUNS, 5)
    allowed = {"servers": Allowance(10, 5), "cores": Allowance(None, 10_000)}
    assert shortfall(need, allowed) == []


def test_a_limit_lowered_under_the_use_leaves_nothing() -> None:
    assert Allowance(3, 7).left == 0
    assert shortfall({"servers": 0}, {"servers": Allowance(3, 7)}) == []
    assert shortfall({"servers": 1}, {"servers": Allowance(3, 7)}) == ["1 server needed, 0 left of 3"]
