"""Which bays live: one of each driver, or in the short form one of each of two container engines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from shared.drivers import registry

DRIVERS: Final = "JEROBOAM_REALCLOUD"
"""Which drivers' bays live: "all", with the tests that take long, or names with commas between. Unset: a short form."""

LONG = os.environ.get(DRIVERS) == "all"
SHORT_FORM: Final = ("k8s_ubuntu", "swarm_fedora_atomic")


@dataclass(frozen=True)
class Cell:
    """A bay of one driver. Its text is its name in the test report."""

    driver: str

    @override
    def __str__(self) -> str:
        return self.driver

    @property
    def distro(self) -> str:
        """What image it needs."""
        return registry.by_name(self.driver).key[1]

    @property
    def coe(self) -> str:
        """The container engine."""
        return registry.by_name(self.driver).key[2]

    @property
    def tls(self) -> bool:
        """Whether its nodes have certificates."""
        return True in registry.by_name(self.driver).support.tls

    @property
    def own_network(self) -> bool:
        """Whether it makes its network; servers of metal stand on one that is there."""
        return "new" in registry.by_name(self.driver).support.networks

    def options(self) -> str:
        """What of its template is the driver's, in the words of `coe cluster template create`."""
        driver = registry.by_name(self.driver)
        words = f"--coe {self.coe} --server-type {driver.key[0]} --network-driver {driver.support.network_drivers[0]}"
        return words if self.tls else f"{words} --tls-disabled"


def cells() -> list[Cell]:
    """Those of this run."""
    wanted = os.environ.get(DRIVERS, "").split(",") if os.environ.get(DRIVERS) else SHORT_FORM
    return [Cell(driver.name) for driver in registry.DRIVERS if LONG or driver.name in wanted]
