"""The labels that say how a bay is scaled, the same for every driver; those of autoscaling are Magnum's."""

from __future__ import annotations

from typing import Final

from shared.domain.label_rule import EVERY, Label, LabelRule

DRAIN_TIMEOUT: Final = "drain_timeout"
DRAIN_ON_TIMEOUT: Final = "drain_on_timeout"
AUTO_SCALING: Final = "auto_scaling_enabled"
MIN_NODES: Final = "min_node_count"
MAX_NODES: Final = "max_node_count"
AUTO_HEALING: Final = "auto_healing_enabled"

_DRAINING: Final = (
    Label(
        DRAIN_TIMEOUT,
        EVERY,
        LabelRule(
            kind="integer",
            default="300",
            maximum=86_400,
            summary="seconds that work gets to leave the nodes that a resize removes; 0: it is not moved away",
        ),
        "scaler/test_drain.py::test_drain_timeout",
    ),
    Label(
        DRAIN_ON_TIMEOUT,
        EVERY,
        LabelRule(
            kind="choice",
            default="fail",
            allowed=("fail", "force"),
            summary="what then becomes of the resize: it fails and the nodes stay, or they go all the same",
        ),
        "scaler/test_drain.py::test_drain_on_timeout",
    ),
)

_AUTOSCALING: Final = (
    Label(
        AUTO_SCALING,
        EVERY,
        LabelRule(
            kind="boolean",
            default="false",
            summary="whether the default nodegroup grows and shrinks with its work; a scaling policy goes before it",
        ),
        "scaler/test_autoscale_labels.py::test_auto_scaling_enabled",
    ),
    Label(
        MIN_NODES,
        EVERY,
        LabelRule(kind="integer", default="1", maximum=1_000_000, summary="how few nodes autoscaling leaves"),
        "scaler/test_autoscale_labels.py::test_min_node_count",
    ),
    Label(
        MAX_NODES,
        EVERY,
        LabelRule(
            kind="integer",
            default="",
            maximum=1_000_000,
            summary="how many nodes autoscaling makes; one more than the bay was made with when not given",
        ),
        "scaler/test_autoscale_labels.py::test_max_node_count",
    ),
)

_HEALING: Final = (
    Label(
        AUTO_HEALING,
        EVERY,
        LabelRule(
            kind="boolean",
            default="true",
            summary="whether a node that is not well is restarted, and if that does not help replaced",
        ),
        "scaler/test_heal.py::test_auto_healing_enabled",
    ),
)

SCALING: Final = (*_DRAINING, *_AUTOSCALING, *_HEALING)
"""Part of `shared.domain.labels.LABELS`."""
