"""The bays that drivers say they can make, as cells of a table of factors, and small choices that cover much of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from typing import Any, Literal

from typing_extensions import override

from shared.drivers import registry
from shared.drivers.contract import Driver

Volumes = Literal["none", "data", "boot"]
VOLUME_GB, BOOT_GB = 3, 10
"""The least that the storage driver devicemapper takes, and enough for every image."""


@dataclass(frozen=True)
class Cell:
    """One bay that a driver supports. Its text is its name in the test report."""

    driver: str
    tls: bool
    masters: int
    balancer: bool
    floating: bool
    network: Literal["new", "existing"]
    volumes: Volumes
    """Of what its servers use: the flavor's disks, data volumes (containers, etcd), or a volume to boot from."""

    @override
    def __str__(self) -> str:
        parts = (
            self.driver,
            "tls" if self.tls else "no-tls",
            f"{self.masters}m",
            *(["lb"] if self.balancer else []),
            "fip" if self.floating else "no-fip",
            self.network,
            *([self.volumes] if self.volumes != "none" else []),
        )
        return "-".join(parts)

    def factors(self) -> tuple[tuple[str, Hashable], ...]:
        """Each factor and its level; the driver is none of them."""
        return tuple((name, level) for name, level in asdict(self).items() if name != "driver")


def cells_of(driver: Driver) -> list[Cell]:
    """All that the driver's table of support has, the plainest bay first."""
    support = driver.support
    levels = product(
        support.tls,
        [count for count in (1, 3) if count in support.master_counts],
        (False, True) if support.load_balancer else (False,),
        support.floating_ip,
        support.networks,
        _volumes(driver),
    )
    return [Cell(driver.name, *level) for level in levels]


def all_cells() -> list[Cell]:
    """Those of every registered driver."""
    return [cell for driver in registry.DRIVERS for cell in cells_of(driver)]


def distros() -> list[str]:
    """What images the drivers need."""
    return [driver.key[1] for driver in registry.DRIVERS]


def changes(cell: Cell) -> dict[str, Any]:
    """The facts of such a bay that are not about where it is made."""
    driver = registry.by_name(cell.driver)
    data, boot = cell.volumes == "data", cell.volumes == "boot"
    labels = {"etcd_volume_size": "1"} if data else {"boot_volume_size": str(BOOT_GB)} if boot else {}
    volume_drivers = driver.support.volume_drivers
    return {
        "tls_disabled": not cell.tls,
        "master_count": cell.masters,
        "master_lb_enabled": cell.balancer,
        "floating_ip_enabled": cell.floating,
        "docker_volume_size": VOLUME_GB if data and driver.support.docker_volume else None,
        "volume_driver": volume_drivers[0] if data and volume_drivers else None,
        "network_driver": driver.support.network_drivers[0],
        "labels": {name: value for name, value in labels.items() if name in driver.label_rules},
    }


def pairs_of(cell: Cell) -> frozenset[Hashable]:
    """Every two levels that meet in the cell, the driver being one of the factors."""
    return frozenset(combinations((("driver", cell.driver), *cell.factors()), 2))


def own_pairs_of(cell: Cell) -> frozenset[Hashable]:
    """Every two levels that meet in the cell, of this driver: another driver's do not count."""
    return frozenset((cell.driver, pair) for pair in combinations(cell.factors(), 2))


def levels_of(cell: Cell) -> frozenset[Hashable]:
    """The cell's driver and levels, each by itself."""
    return frozenset([("driver", cell.driver), *cell.factors()])


def cover(
    cells: Sequence[Cell], what: Callable[[Cell], frozenset[Hashable]], *, chosen: Sequence[Cell] = (), most: int = 1000
) -> list[Cell]:
    """Few cells that together have all that all have: to `chosen` always the one that adds most, the first of equals.

    At most `most` cells, even if something is missing then.
    """
    found = list(chosen)
    missing = union(map(what, cells)) - union(map(what, found))
    while missing and len(found) < most:
        best = max(cells, key=lambda cell: len(what(cell) & missing))
        found.append(best)
        missing -= what(best)
    return found


def sample(least: int) -> list[Cell]:
    """At least so many cells: every driver and every level occur, and as many pairs of levels as go in."""
    found: list[Cell] = []
    for driver in registry.DRIVERS:
        cells = cells_of(driver)
        found += cover(cells, pairs_of, chosen=found, most=len(found) + 1)[len(found) :]
    found = cover(all_cells(), levels_of, chosen=found)
    return cover(all_cells(), pairs_of, chosen=found, most=max(least, len(found)))


def union(sets: Iterable[frozenset[Hashable]]) -> set[Hashable]:
    """All that is in any of them."""
    return set().union(*sets)


def _volumes(driver: Driver) -> list[Volumes]:
    found: list[Volumes] = ["none"]
    if driver.support.docker_volume or "etcd_volume_size" in driver.label_rules:
        found.append("data")
    if "boot_volume_size" in driver.label_rules:
        found.append("boot")
    return found
