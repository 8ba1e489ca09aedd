"""What a patch of a nodegroup may ask for: another range, and labels and taints for the nodes that it is to have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.api.usecases.nodegroup_shown import LABELS_FROM
from services.api.usecases.patches import PatchItem, Rules, apply_patch, literal
from shared.contracts.http.base import bad
from shared.contracts.http.nodegroups import NodegroupChange
from shared.contracts.http.values import LARGEST
from shared.db.repositories.nodegroups import MASTER, Nodegroup
from shared.domain.errors import Conflict, InvalidInput

OF_NODES: Final = ("node_labels", "node_taints")
"""What is for the nodes themselves."""

_RULES: Final = Rules(
    internal=frozenset(
        {"id", "uuid", "name", "cluster_id", "project_id", "docker_volume_size", "links", "flavor_id", "image_id"}
        | {"labels", "labels_added", "labels_overridden", "labels_skipped", "merge_labels", "node_addresses"}
        | {"node_count", "role", "is_default", "stack_id", "status", "status_reason", "version"}
        | {"created_at", "updated_at"}
    ),
    mandatory=frozenset(),
)


@dataclass(frozen=True)
class Wanted:
    """What a patch asks for."""

    least: int
    most: int | None
    """None: there is no maximum."""
    of_nodes: Mapping[str, object]
    """What nodes are to be made with, by the names of the row: only what is to be another."""


def wanted_of(group: Nodegroup, items: list[PatchItem], version: int) -> Wanted:
    """What the patch asks for; a maximum of 0 is none, as in Magnum.

    Raises:
        InvalidInput: it asks for anything else.
    """
    current = dict.fromkeys(_RULES.internal) | {
        "min_node_count": group.min_node_count,
        "max_node_count": group.max_node_count,
    }
    if version >= LABELS_FROM:
        current |= {"node_labels": group.node_labels or None, "node_taints": group.node_taints or None}
    wanted, of_nodes = apply_patch(current, items, _RULES), {}
    if version >= LABELS_FROM:
        of_nodes = _of_nodes(group, {name: literal(wanted[name], lists=True) for name in OF_NODES})
    least, most = _number(wanted, "min_node_count"), _number(wanted, "max_node_count")
    return Wanted(least or 0, most or None, of_nodes)


def check_range(name: str, count: int, least: int, most: int | None) -> None:
    """Whether least ≤ count ≤ most, with Magnum's sentence about the first that is not.

    Raises:
        Conflict: it is not so.
    """

    def refuse(attribute: str, low: tuple[str, int], high: tuple[str, int]) -> Conflict:
        why = f"{low[0]} ({low[1]}) should be less or equal to {high[0]} ({high[1]})"
        return Conflict(f"{attribute} for {name} is invalid ({why}).", field=attribute)

    if most is not None and most < least:
        raise refuse("max_node_count", ("min_node_count", least), ("max_node_count", most))
    if most is not None and count > most:
        raise refuse("max_node_count", ("node_count", count), ("max_node_count", most))
    if least > count:
        raise refuse("min_node_count", ("min_node_count", least), ("node_count", count))


def _of_nodes(group: Nodegroup, wanted: Mapping[str, object]) -> dict[str, object]:
    """The labels and taints that are to be others. Wrong ones are refused, and those of the default groups, whose nodes
    are made as the cluster has them."""
    asked, others = NodegroupChange.read(dict(wanted)).model_dump(exclude_none=True), dict[str, object]()
    for name in OF_NODES:
        if (asked.get(name) or None) == (getattr(group, name) or None):
            continue
        if group.role == MASTER:
            raise InvalidInput(f"Setting {name} of a master nodegroup is not supported.", field=name)
        if group.is_default:
            raise InvalidInput(f"Setting {name} is not supported by this driver.", field=name)
        others[name] = asked.get(name) or ([] if name == "node_taints" else {})
    return others


def _number(wanted: Mapping[str, object], name: str) -> int | None:
    """Text is no number here, as in every patch."""
    value = wanted[name]
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(name, value, f"Wrong type. Expected '<class 'int'>', got '{type(value)}'")
    if value < 0:
        raise bad(name, value, "Value should be greater or equal to 0")
    if value > LARGEST:
        raise bad(name, value, f"Value should be lower or equal to {LARGEST}")
    return value
