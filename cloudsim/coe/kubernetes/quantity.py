"""Kubernetes' numbers with units."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def number(text: object) -> float:
    """`250m`, `1.5`, `64Mi`, `2G` as a number of cores or bytes.

    Raises:
        ValueError: it is none.
    """
    told = str(text)
    for unit in sorted(_UNITS, key=len, reverse=True):
        if told.endswith(unit):
            return float(told.removesuffix(unit)) * _UNITS[unit]
    return float(told)
