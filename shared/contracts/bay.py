"""Messages in the life of a bay: birth, resize, removal."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import AfterValidator

from shared.contracts.base import Message

REASON_LENGTH: Final = 2000


def _cut(text: str) -> str:
    """Shorten a cloud's explanation: a long one must not make the report of a failure fail."""
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


Reason = Annotated[str, AfterValidator(_cut)]


class OperationMessage(Message):
    """Base of the messages that point at an operation on a bay."""

    operation_id: UUID
    """Row of `operations` to look at."""
    bay_id: UUID
    """Bay that the operation works on."""


class BayCreateRequested(OperationMessage):
    """A bay was accepted; its certificate authorities are wanted."""

    name: ClassVar[str] = "bay.create.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayAuthoritiesReady(OperationMessage):
    """The bay's authorities exist; its stack can be built."""

    name: ClassVar[str] = "bay.authorities.ready"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "certs"


class BayCreated(OperationMessage):
    """The bay is up; its health and size can be watched."""

    name: ClassVar[str] = "bay.created"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayFailed(OperationMessage):
    """An operation on the bay ended without success. Any service may say so; the owner named here stands for all."""

    name: ClassVar[str] = "bay.failed"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "any"

    reason: Reason
    """Sentence for people; cut to 2,000 characters."""


class BayResizeRequested(OperationMessage):
    """Another node count is wanted; the nodes that leave are to be chosen."""

    name: ClassVar[str] = "bay.resize.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayResizePlanned(OperationMessage):
    """The nodes that leave are chosen and drained; the stack can be updated."""

    name: ClassVar[str] = "bay.resize.planned"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "scaler"


class BayResizeReconsidered(OperationMessage):
    """The stack was not as it was left, and more nodes leave than were drained: those are to be drained too."""

    name: ClassVar[str] = "bay.resize.reconsidered"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayResized(OperationMessage):
    """The bay has its new size."""

    name: ClassVar[str] = "bay.resized"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayMastersResizeRequested(OperationMessage):
    """Another number of masters is wanted; they come and go one at a time."""

    name: ClassVar[str] = "bay.masters.resize.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayMastersResized(OperationMessage):
    """The bay has its new number of masters."""

    name: ClassVar[str] = "bay.masters.resized"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayHealRequested(OperationMessage):
    """A node is unhealthy; it is to be restarted, and if that does not help replaced."""

    name: ClassVar[str] = "bay.heal.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "scaler"


class BayHealRebooted(OperationMessage):
    """The unhealthy node was restarted; whether it recovers can be watched."""

    name: ClassVar[str] = "bay.heal.rebooted"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayHealPlanned(OperationMessage):
    """The node did not recover and is drained as far as it can be; the stack can be updated."""

    name: ClassVar[str] = "bay.heal.planned"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "scaler"


class BayHealed(OperationMessage):
    """The node is well again, or another stands in its place."""

    name: ClassVar[str] = "bay.healed"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayUpgradeRequested(OperationMessage):
    """The bay is to be moved to another baymodel, a few nodes at a time."""

    name: ClassVar[str] = "bay.upgrade.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayUpgradeGrown(OperationMessage):
    """New nodes of an upgrade stand; old ones can be drained when they are well."""

    name: ClassVar[str] = "bay.upgrade.grown"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayUpgradeDrained(OperationMessage):
    """Old nodes of an upgrade are drained; they can be removed."""

    name: ClassVar[str] = "bay.upgrade.drained"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "scaler"


class BayUpgraded(OperationMessage):
    """All nodes of the bay are of the new baymodel."""

    name: ClassVar[str] = "bay.upgraded"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayCredentialsRotationRequested(OperationMessage):
    """The bay's nodes are to get another cloud credential, which is made and sealed already."""

    name: ClassVar[str] = "bay.credentials.rotation.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayCredentialsRotated(OperationMessage):
    """Every node of the bay uses the new credential and the old one is revoked."""

    name: ClassVar[str] = "bay.credentials.rotated"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayCaRotationRequested(OperationMessage):
    """The bay is to have other certificate authorities, or the rotation that was begun is to be finished or undone."""

    name: ClassVar[str] = "bay.ca.rotation.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayCaRotated(OperationMessage):
    """Every node of the bay uses and trusts one generation of authorities: the new one, or the old one after all."""

    name: ClassVar[str] = "bay.ca.rotated"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "certs"


class BayDeleteRequested(OperationMessage):
    """The bay is to go; its stack is removed first."""

    name: ClassVar[str] = "bay.delete.requested"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "api"


class BayStackDeleted(OperationMessage):
    """The bay's stack is gone; its authorities can be destroyed."""

    name: ClassVar[str] = "bay.stack.deleted"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"


class BayAuthoritiesDestroyed(OperationMessage):
    """The bay's authorities are destroyed; what is left can be checked and the row removed."""

    name: ClassVar[str] = "bay.authorities.destroyed"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "certs"


class BayDeleted(OperationMessage):
    """The bay is gone, from the cloud and from the database."""

    name: ClassVar[str] = "bay.deleted"
    version: ClassVar[int] = 1
    owner: ClassVar[str] = "provisioner"
