"""How a bay is to be scaled: labels as Magnum's, overlaid by the policy that its owner has stored. Pure.

Every value has a source, so that nobody has to guess why a bay is scaled as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.domain.autoscaling import Limits
from shared.domain.errors import InvalidInput
from shared.domain.scaling_labels import AUTO_SCALING, MAX_NODES, MIN_NODES

ENABLED: Final = "enabled"
LEAST: Final = "min_node_count"
MOST: Final = "max_node_count"
TARGET: Final = "target_utilisation"
SCALE_IN: Final = "scale_in_utilisation"

DEFAULTS: Final[Mapping[str, int]] = {
    LEAST: 1,
    TARGET: 85,
    SCALE_IN: 65,
    "quiet_seconds": 600,
    "scale_out_cooldown_seconds": 60,
    "scale_in_cooldown_seconds": 300,
    "scale_out_step": 30,
    "scale_in_step": 10,
}
"""What holds where nobody said anything, as benchmarks/autoscale.py found it good.

`max_node_count` is one more than the bay was made with, as in Magnum, or what its owner has resized it to.
"""

_LABELS: Final = {ENABLED: AUTO_SCALING, LEAST: MIN_NODES, MOST: MAX_NODES}
_TRUE: Final = frozenset({"true", "1", "yes", "on", "t", "y"})


class Source(StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    LABEL = "label"
    POLICY = "policy"
    NODEGROUP = "nodegroup"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the policy."""

    value: int
    """0 or 1 for `enabled`."""
    source: Source


Effective = Mapping[str, Value]


def effective(
    labels: Mapping[str, str],
    stored: Mapping[str, object],
    *,
    born: int,
    count: int,
    group: tuple[int, int | None],
) -> dict[str, Value]:
    """Every value of the policy, with its source.

    `born` is the number of workers that the bay was made with, `count` that which it has: where nobody said how many it
    may have, an owner's resize is not undone. `group` is the nodegroup's own range, which binds too.
    A label that says nothing readable counts as absent: it was looked at when the bay was made.
    """
    found = {ENABLED: Value(0, Source.DEFAULT)} | {
        name: Value(value, Source.DEFAULT) for name, value in DEFAULTS.items()
    }
    for name, label in _LABELS.items():
        said = _read(name, labels.get(label, ""))
        if said is not None:
            found[name] = Value(said, Source.LABEL)
    for name in (*found, MOST):
        given = stored.get(name)
        if isinstance(given, int):
            found[name] = Value(int(given), Source.POLICY)
    return _bounded(found, max(born + 1, count), *group)


def labels_of(spec: Mapping[str, object]) -> dict[str, str]:
    """The labels that a bay was made with, from its spec."""
    given = spec.get("labels")
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}


def check(values: Effective) -> None:
    """Raises InvalidInput, naming the field, for values that contradict one another."""
    least, most = values[LEAST].value, values[MOST].value
    if most < least:
        raise InvalidInput(
            f"max_node_count ({most}) should be greater or equal to min_node_count ({least}).", field=MOST
        )
    target, low = values[TARGET].value, values[SCALE_IN].value
    if low >= target:
        raise InvalidInput(
            f"scale_in_utilisation ({low}) should be lower than target_utilisation ({target}).", field=SCALE_IN
        )


def is_on(values: Effective) -> bool:
    """Whether the bay is scaled by itself."""
    return bool(values[ENABLED].value)


def limits_of(values: Effective) -> Limits:
    """The policy as `decide` wants it."""
    number = {name: one.value for name, one in values.items()}
    return Limits(
        least=number[LEAST],
        most=max(number[LEAST], number[MOST]),
        target=max(1, number[TARGET]) / 100,
        scale_in=number[SCALE_IN] / 100,
        quiet=number["quiet_seconds"],
        rest_out=number["scale_out_cooldown_seconds"],
        rest_in=number["scale_in_cooldown_seconds"],
        step_out=number["scale_out_step"],
        step_in=number["scale_in_step"],
    )


def _bounded(found: dict[str, Value], usual: int, least: int, most: int | None) -> dict[str, Value]:
    if found[LEAST].value < least:
        found[LEAST] = Value(least, Source.NODEGROUP)
    if MOST not in found:
        found[MOST] = Value(max(usual, found[LEAST].value), Source.DEFAULT)
        if most is not None:
            found[MOST] = Value(most, Source.NODEGROUP)
    if most is not None and found[MOST].value > most:
        found[MOST] = Value(most, Source.NODEGROUP)
    if found[LEAST].source is Source.DEFAULT and found[LEAST].value > found[MOST].value:
        found[LEAST] = Value(found[MOST].value, found[MOST].source)
    return found


def _read(name: str, label: str) -> int | None:
    if not label:
        return None
    if name == ENABLED:
        return int(label.lower() in _TRUE)
    return int(label) if label.isascii() and label.isdigit() and len(label) < 10 else None
