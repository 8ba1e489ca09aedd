"""Messages of attestation: a node asks for its certificates, the provisioner judges who it is, certs signs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Message

_WAITED_FOR: Final = timedelta(seconds=20)


class AttestationMessage(Message):
    """Base of the messages that point at an attestation."""

    bay_id: UUID
    """Bay that the node says it is of."""
    attestation_id: UUID
    """Row of `attestations` to look at."""


class NodeAttestRequested(AttestationMessage):
    """A node asks for its certificates: find out whether it is the server that it says it is."""

    name: ClassVar[str] = "node.attest.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"
    ttl: ClassVar[timedelta | None] = _WAITED_FOR

    reply_to: Annotated[str, Field(min_length=1, max_length=255)]
    """Address of the reply queue of the gateway process that waits."""


class NodeAttested(AttestationMessage):
    """The node is who it says it is: its sign requests may be signed. Whether that is so is read from the row."""

    name: ClassVar[str] = "node.attested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"
    ttl: ClassVar[timedelta | None] = _WAITED_FOR

    reply_to: Annotated[str, Field(min_length=1, max_length=255)]
    """Address of the reply queue of the gateway process that waits."""


class NodeAttestDecided(AttestationMessage):
    """The node's question is answered: read its row. The provisioner says so after a refusal, certs after signing."""

    name: ClassVar[str] = "node.attest.decided"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "any"
    ttl: ClassVar[timedelta | None] = _WAITED_FOR
    reply: ClassVar[bool] = True
