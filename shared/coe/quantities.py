"""Kubernetes' quantities: `100m`, `1.5`, `512Mi`, `129e6`.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from typing import Final

from shared.coe.port import Resources
from shared.coe.reading import Doc

_FORM: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?")
_FACTORS: Final = {
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)},
    **{unit: 1000.0**-power for power, unit in enumerate("mun", 1)},
    "": 1.0,
}


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


def resources(listed: Doc) -> Resources:
    """Cores and bytes of a list of resources, such as `requests` or `allocatable`."""
    return Resources(amount(listed.get("cpu")), int(amount(listed.get("memory"))))


def plus(one: Resources, other: Resources) -> Resources:
    """Both together."""
    return Resources(one.cpu + other.cpu, one.memory + other.memory)


def larger(one: Resources, other: Resources) -> Resources:
    """What is enough for either."""
    return Resources(max(one.cpu, other.cpu), max(one.memory, other.memory))
