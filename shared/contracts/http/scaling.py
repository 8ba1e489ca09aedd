"""Bodies of …/scaling_policy and …/scaling_decisions of a bay. Not in Magnum."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.values import Flag, Integer, Natural

Percent = Annotated[Integer, Field(ge=1, le=100)]
LowPercent = Annotated[Integer, Field(ge=0, le=99)]
Seconds = Annotated[Integer, Field(ge=0, le=86_400)]
Step = Annotated[Integer, Field(ge=1, le=1_000)]


class ScalingPolicy(WireBody):
    """PUT …/scaling_policy: what is left out is as the bay's labels say, else as it is by default."""

    argument: ClassVar[str] = "scaling_policy"

    enabled: Flag | None = None
    """Whether the default nodegroup is scaled by itself."""
    min_node_count: Natural | None = None
    max_node_count: Natural | None = None
    target_utilisation: Percent | None = None
    """Percent of what the nodes have; when more is asked for, the group grows."""
    scale_in_utilisation: LowPercent | None = None
    """Percent; when less is asked for, nodes whose work fits elsewhere leave."""
    quiet_seconds: Seconds | None = None
    """How long that must be so without a break."""
    scale_out_cooldown_seconds: Seconds | None = None
    """After a growth, before the next."""
    scale_in_cooldown_seconds: Seconds | None = None
    """After any change, before the group shrinks."""
    scale_out_step: Step | None = None
    """Nodes that may come at a time."""
    scale_in_step: Step | None = None
    """Nodes that may leave at a time."""

    def stored(self) -> dict[str, object]:
        """What the owner said, and no more."""
        return self.model_dump(exclude_none=True)


class PolicyNumber(BaseModel):
    """A value that holds, and where it comes from."""

    value: int
    source: Literal["default", "label", "policy", "nodegroup"]


class PolicyFlag(BaseModel):
    """The same for yes and no."""

    value: bool
    source: Literal["default", "label", "policy"]


class EffectivePolicy(BaseModel):
    """What holds: the bay's labels, overlaid by its policy, within the range of its nodegroup."""

    enabled: PolicyFlag
    min_node_count: PolicyNumber
    max_node_count: PolicyNumber
    target_utilisation: PolicyNumber
    scale_in_utilisation: PolicyNumber
    quiet_seconds: PolicyNumber
    scale_out_cooldown_seconds: PolicyNumber
    scale_in_cooldown_seconds: PolicyNumber
    scale_out_step: PolicyNumber
    scale_in_step: PolicyNumber


class StoredPolicy(BaseModel):
    """What was put; keys that were left out are not there."""

    enabled: bool | None = None
    min_node_count: int | None = None
    max_node_count: int | None = None
    target_utilisation: int | None = None
    scale_in_utilisation: int | None = None
    quiet_seconds: int | None = None
    scale_out_cooldown_seconds: int | None = None
    scale_in_cooldown_seconds: int | None = None
    scale_out_step: int | None = None
    scale_in_step: int | None = None


class ScalingPolicyOut(BaseModel):
    """GET …/scaling_policy."""

    uuid: str
    """Of the bay."""
    nodegroup: str
    policy: StoredPolicy
    effective: EffectivePolicy


class ScalingDecision(BaseModel):
    """Why the group has the size that it has."""

    id: int
    nodegroup: str
    node_count: int
    """What the group had."""
    desired: int
    """What it was to have; the same where nothing was done, for the reason that is told."""
    reason: str
    seen: dict[str, object]
    """Figures that the decision rests on."""
    operation_id: str | None
    """The resize that was asked for."""
    at: str


class ScalingDecisionList(BaseModel):
    """GET …/scaling_decisions: the last hundred, newest first."""

    scaling_decisions: list[ScalingDecision]
