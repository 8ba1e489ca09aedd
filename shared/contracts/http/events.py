"""What `GET /v1/bays/{bay}/events` streams: the data of its events. That of `operation` is `OperationOut`."""

from __future__ import annotations

from pydantic import BaseModel


class StatusEvent(BaseModel):
    """`status`: a line of the bay's history. The event's id is the line's number."""

    at: str
    event: str
    """What happened, for instance "update asked"."""
    was: str | None
    """The status before; null for a new bay."""
    became: str
    """The status since."""
    reason: str | None
    operation_id: str | None
    """The operation that it is the end of."""


class GoneEvent(BaseModel):
    """`gone`: the bay was deleted; the stream ends."""

    uuid: str
