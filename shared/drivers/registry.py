"""The drivers there are: one line each. Two drivers for one triple, or of one name, stop the process at import."""

from __future__ import annotations

from collections.abc import Iterable

from shared.domain.errors import InvalidInput
from shared.drivers.contract import Driver, DriverKey
from shared.drivers.k8s_coreos.driver import K8sCoreos
from shared.drivers.k8s_fedora_atomic.driver import K8sFedoraAtomic
from shared.drivers.k8s_fedora_ironic.driver import K8sFedoraIronic
from shared.drivers.k8s_ubuntu.driver import K8sUbuntu
from shared.drivers.mesos_ubuntu.driver import MesosUbuntu
from shared.drivers.swarm_fedora_atomic.driver import SwarmFedoraAtomic, SwarmModeFedoraAtomic

DRIVERS: tuple[Driver, ...] = (
    K8sFedoraAtomic(),
    K8sCoreos(),
    K8sFedoraIronic(),
    K8sUbuntu(),
    MesosUbuntu(),
    SwarmFedoraAtomic(),
    SwarmModeFedoraAtomic(),
)


def index(drivers: Iterable[Driver]) -> tuple[dict[DriverKey, Driver], dict[str, Driver]]:
    """Order drivers by triple and by name; raises ValueError when two claim the same."""
    by_key: dict[DriverKey, Driver] = {}
    named: dict[str, Driver] = {}
    for driver in drivers:
        if driver.key in by_key:
            raise ValueError(f"Drivers {by_key[driver.key].name} and {driver.name} both claim {driver.key}.")
        if driver.name in named:
            raise ValueError(f"Two drivers are named {driver.name}.")
        by_key[driver.key] = driver
        named[driver.name] = driver
    return by_key, named


_BY_KEY, _BY_NAME = index(DRIVERS)


def find(server_type: str, os_distro: str, coe: str) -> Driver:
    """Find the driver of a triple; raises InvalidInput with Magnum's own text when there is none."""
    try:
        return _BY_KEY[(server_type, os_distro, coe)]
    except KeyError:
        raise InvalidInput(f"Cluster type ({server_type}, {os_distro}, {coe}) not supported.") from None


def by_name(name: str) -> Driver:
    """Find the driver that made a bay, by the name stored with it; raises InvalidInput when it is no longer here."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise InvalidInput(f"Driver {name} is not installed.") from None
