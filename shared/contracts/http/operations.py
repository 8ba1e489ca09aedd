"""Bodies of /v1/operations: every project's operations, for administrators. Not in Magnum."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from shared.contracts.http.bays import OperationOut


class OperationBay(BaseModel):
    """The bay that an operation is about."""

    uuid: str
    name: str
    project_id: str
    status: str


class CloudOperation(OperationOut):
    """An operation with its bay, and how its service is doing with it."""

    bay: OperationBay
    service: str
    """Whose step is next."""
    step: str
    """Its name."""
    failures: int
    """How often in a row the cloud did not do what the step asks."""
    surprises: int
    """How often in a row the step ended in an error that nobody expected."""
    next_run_at: str
    """When the step is tried next, if nobody works on it."""
    lease_until: str | None
    """Until when a worker has it; null: nobody has."""
    deadline: str | None
    stuck: Literal["abandoned", "unclaimed", "crashing", "failing"] | None
    """Why an administrator should look at it: `abandoned`, its worker is gone and none has taken it over; `unclaimed`,
    it is due and no worker takes it; `crashing`, a worker stopped in the midst of this step; `failing`, the step has
    failed five times or unexpectedly and is tried again. Null: it goes on, waits its turn, or has ended."""


class CloudOperationList(BaseModel):
    """GET /v1/operations, newest first."""

    operations: list[CloudOperation]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""
