"""What each label of autoscaling does."""

from __future__ import annotations

from shared.coe.port import Resources
from tests.scaler.autoscaled import bay, decisions, look, policy, resizes, waits
from tests.scaler.town import Town


async def test_auto_scaling_enabled(town: Town) -> None:
    found = {}
    for word in ("true", "False", "yes", ""):
        bay_id, played = await bay(town, 3, labels={"auto_scaling_enabled": word, "max_node_count": "9"})
        waits(played, "shop/web-9", asks=Resources(1.5, 1))
        found[word] = bay_id
    await look(town)
    asked = {word: await resizes(town, bay_id) for word, bay_id in found.items()}
    assert asked == {"true": [4], "False": [], "yes": [4], "": []}


async def test_min_node_count(town: Town) -> None:
    labels = {"auto_scaling_enabled": "true", "min_node_count": "3", "max_node_count": "9"}
    bay_id, _ = await bay(town, 1, labels=labels)
    await look(town)
    assert await decisions(town, bay_id) == [(1, 3, "The group has 1 node and shall have 3 at least.")]
    assert await resizes(town, bay_id) == [3]


async def test_max_node_count(town: Town) -> None:
    bay_id, played = await bay(town, 2, labels={"auto_scaling_enabled": "true", "max_node_count": "4"})
    plain, other = await bay(town, 2, labels={"auto_scaling_enabled": "true"})
    wider, third = await bay(town, 2, labels={"auto_scaling_enabled": "true", "max_node_count": "4"})
    await policy(town, wider, max_node_count=6)
    for one in (played, other, third):
        waits(one, *(f"shop/more-{number}" for number in range(9)), asks=Resources(1.9, 1))
    await look(town)
    assert [await resizes(town, one) for one in (bay_id, plain, wider)] == [[4], [3], [6]]
