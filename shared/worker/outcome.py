"""What a step can say at its end, and what it is given at its start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.bay import Bay, Operation
from shared.domain.errors import JeroboamError

Apply = Callable[[AsyncConnection], Awaitable[None]]
"""Writes of a step, run in the transaction that moves its operation on; dropped if the lease is lost."""

DepsT = TypeVar("DepsT")


class Superseded(JeroboamError):
    """The bay is to go: the operation ends here, because a delete is waiting behind it."""


@dataclass(frozen=True)
class Done:
    """The step is finished. `memo` is kept for later steps of the operation, `note` with the step for people."""

    apply: Apply | None = None
    memo: Mapping[str, object] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing is wrong; look again after `seconds`. `note` is what people read meanwhile."""

    seconds: float
    note: str | None = None
    memo: Mapping[str, object] = field(default_factory=dict)
    apply: Apply | None = None
    until_told: bool = False
    """Whether a hint that there is something to see may cut the wait short: not when the time itself matters."""


@dataclass(frozen=True)
class Back:
    """Go to another step of the flow than the next one, after `seconds`, so that two steps never chase each other.

    To one of another service only where the flow has a message for that hand-over.
    """

    step: str
    seconds: float
    memo: Mapping[str, object] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True)
class Broke:
    """The operation fails. `reason` names the resource and the cause; `faults` maps resource to reason."""

    reason: str
    faults: Mapping[str, str] = field(default_factory=dict)
    apply: Apply | None = None


Outcome = Done | Wait | Back | Broke


@dataclass(frozen=True)
class StepContext(Generic[DepsT]):
    """What a step gets: its operation, the bay as it was when claimed, and the service's dependencies."""

    operation: Operation
    bay: Bay
    deps: DepsT
    guard: Callable[[], Awaitable[None]]
    """To be awaited before each mutating call to the cloud: raises Superseded when the bay is to go and StaleLease
    when the operation is no longer ours."""


StepFunction = Callable[[StepContext[DepsT]], Awaitable[Outcome]]
