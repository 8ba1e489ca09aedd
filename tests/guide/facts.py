"""tests/data/guide.yaml, read: what the guide says of each driver, and the cells of its two support tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typing_extensions import override

from shared.drivers import registry
from shared.drivers.contract import Driver

GUIDE: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "data" / "guide.yaml").read_text())


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A driver as the guide tells of it."""

    name: str
    coe: str
    image: str
    made_by: str
    login: Mapping[str, str | None]
    heading: str = ""
    """Empty: a driver of ours that the guide does not know."""
    server_type: str = "vm"
    software: Mapping[str, str | None] = field(default_factory=dict)
    """Versions of the guide's image."""
    systemd: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    only_with: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Services that run only with some attribute."""
    fully_supported: bool = True
    ours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Under `systemd` and `containers`: what runs beside the guide's list, and why."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The guide's word for a service: the name of its unit."""

    @property
    def driver(self) -> Driver:
        """Ours; without it, the test is skipped."""
        if all(one.name != self.name for one in registry.DRIVERS):
            pytest.skip(f"NOT RUN: guide: {self.name} (no such driver yet)")
        return registry.by_name(self.name)

    def running(self, kind: str) -> frozenset[str]:
        """Units or containers that a bay's nodes run: the guide's, and ours."""
        told = self.systemd if kind == "systemd" else self.containers
        return frozenset(self.units.get(word, word) for word in told) | self.ours.get(kind, {}).keys()


@dataclass(frozen=True)
class Cell:
    """One cell of a support table."""

    attribute: str
    value: str
    coe: str
    supported: bool

    @override
    def __str__(self) -> str:
        return f"{self.value}-{self.coe}-{'supported' if self.supported else 'unsupported'}"


def _promise(name: str, said: dict[str, Any]) -> Promise:
    lists = {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
    more: dict[str, Any] = {**said, **lists, "units": GUIDE["units"]}
    return Promise(name=name, **more)


PROMISES: Final = tuple(_promise(name, said) for name, said in GUIDE["drivers"].items())
EVERY: Final = (*PROMISES, *(_promise(name, said) for name, said in GUIDE["beside"].items()))
"""Our own drivers as well."""
CELLS: Final = tuple(
    Cell(attribute, value, coe, supported)
    for attribute in ("network_driver", "volume_driver")
    for value, row in GUIDE["support"][attribute]["table"].items()
    for coe, supported in row.items()
)
"""Both tables, cell by cell."""
DRIVER_OF: Final = {"kubernetes": "k8s_fedora_atomic", "swarm": "swarm_fedora_atomic", "mesos": "mesos_ubuntu"}
"""The driver that stands for a column of the tables."""


def promise(name: str) -> Promise:
    """What is said of a driver."""
    (found,) = (one for one in EVERY if one.name == name)
    return found
