"""Messages of the sign path: a request whose row is committed first, and the reply to the asking gateway."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Message


class CertificateSignRequested(Message):
    """A CSR waits in `sign_requests`. Authority is read from that row, never from this message."""

    name: ClassVar[str] = "certificate.sign.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"
    ttl: ClassVar[timedelta | None] = timedelta(seconds=10)

    bay_id: UUID
    """Bay whose authority signs."""
    sign_request_id: UUID
    """Row of `sign_requests` to look at."""
    reply_to: Annotated[str, Field(min_length=1, max_length=255)]
    """Address of the reply queue of the gateway process that waits."""


class BayAuthoritiesExpiring(Message):
    """The bay's authorities end soon, and with them all that they signed: rotate them. Told once a generation."""

    name: ClassVar[str] = "bay.authorities.expiring"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "certs"

    bay_id: UUID
    """Bay whose authorities end."""
    generation: Annotated[int, Field(ge=1)]
    """Which generation of them."""
    not_after: datetime
    """When the first of them ends."""


class CertificateSigned(Message):
    """The sign request is decided: read its row for the certificate or the refusal."""

    name: ClassVar[str] = "certificate.signed"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "certs"
    ttl: ClassVar[timedelta | None] = timedelta(seconds=10)
    reply: ClassVar[bool] = True

    bay_id: UUID
    """Bay whose authority was asked."""
    sign_request_id: UUID
    """Row of `sign_requests` that was decided."""
