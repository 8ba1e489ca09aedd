"""Kubernetes' quantities: `100m`, `1.5`, `512Mi`, `129e6`.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from shared.coe.port import Resources

_FORM: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?")
_FACTORS: Final = {
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)},
    **{unit: 1000.0**-power for power, unit in enumerate("mun", 1)},
    "": 1.0,
}

NOTHING: Final = Resources()


def amount(value: object) -> float:
    """The number that a quantity stands for; absent: 0. Raises ValueError or TypeError for what is none."""
    if isinstance(value, int | float):
        return float(value)
    if value is None:
        return 0.0
    if not isinstance(value, str):
        raise TypeError("no quantity")
    found = _FORM.fullmatch(value)
    if found is None:
        raise ValueError("not a quantity")
    number, unit = found[1], found[2] or ""
    if unit in _FACTORS:
        return float(number) * _FACTORS[unit]
    return float(number + unit)


def resources(listed: Mapping[str, str | int | float] | None) -> Resources:
    """Cores and bytes of a list of resources, such as `requests` or `allocatable`; of none: nothing."""
    return _resources(listed.get("cpu"), listed.get("memory")) if listed else NOTHING


@lru_cache(maxsize=1024)
def _resources(cpu: str | float | None, memory: str | float | None) -> Resources:
    return Resources(amount(cpu), int(amount(memory)))


def plus(one: Resources, other: Resources) -> Resources:
    """Both together."""
    if one is NOTHING:
        return other
    return one if other is NOTHING else Resources(one.cpu + other.cpu, one.memory + other.memory)


def larger(one: Resources, other: Resources) -> Resources:
    """What is enough for either."""
    if other is NOTHING:
        return one
    return Resources(max(one.cpu, other.cpu), max(one.memory, other.memory))
