"""Every message there is, and which service's queue receives which.

Exchanges, queues, bindings, the AsyncAPI document and docs/messages.md are derived from this file. A new message
is one class plus one line in `MESSAGES` and, when somebody acts on it, one in `CONSUMERS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from shared.contracts import bay, certificate, node
from shared.contracts.base import Message

SERVICES: Final = ("api", "certs", "provisioner", "scaler")

MESSAGES: Final[tuple[type[Message], ...]] = (
    bay.BayCreateRequested,
    bay.BayAuthoritiesReady,
    bay.BayCreated,
    bay.BayFailed,
    bay.BayResizeRequested,
    bay.BayResizePlanned,
    bay.BayResizeReconsidered,
    bay.BayResized,
    bay.BayMastersResizeRequested,
    bay.BayMastersResized,
    bay.BayHealRequested,
    bay.BayHealRebooted,
    bay.BayHealPlanned,
    bay.BayHealed,
    bay.BayUpgradeRequested,
    bay.BayUpgradeGrown,
    bay.BayUpgradeDrained,
    bay.BayUpgraded,
    bay.BayCredentialsRotationRequested,
    bay.BayCredentialsRotated,
    bay.BayCaRotationRequested,
    bay.BayCaRotated,
    bay.BayDeleteRequested,
    bay.BayStackDeleted,
    bay.BayAuthoritiesDestroyed,
    bay.BayDeleted,
    certificate.CertificateSignRequested,
    certificate.CertificateSigned,
    certificate.BayAuthoritiesExpiring,
    node.NodeAttestRequested,
    node.NodeAttested,
    node.NodeAttestDecided,
)

CONSUMERS: Final[Mapping[str, tuple[type[Message], ...]]] = MappingProxyType(
    {
        "certs": (
            bay.BayCreateRequested,
            bay.BayCaRotationRequested,
            bay.BayStackDeleted,
            certificate.CertificateSignRequested,
            node.NodeAttested,
        ),
        "provisioner": (
            bay.BayAuthoritiesReady,
            bay.BayResizePlanned,
            bay.BayMastersResizeRequested,
            bay.BayHealRequested,
            bay.BayHealPlanned,
            bay.BayUpgradeRequested,
            bay.BayUpgradeDrained,
            bay.BayCredentialsRotationRequested,
            bay.BayDeleteRequested,
            bay.BayAuthoritiesDestroyed,
            node.NodeAttestRequested,
        ),
        "scaler": (
            bay.BayCreated,
            bay.BayResizeRequested,
            bay.BayResizeReconsidered,
            bay.BayResized,
            bay.BayHealRebooted,
            bay.BayUpgradeGrown,
        ),
    }
)
"""Queue (named like its service) → the messages it receives."""

_NAME = re.compile(r"[a-z]+(\.[a-z]+)+")


def validate(messages: Iterable[type[Message]], consumers: Mapping[str, Iterable[type[Message]]]) -> None:
    """Refuse a registry that cannot work.

    Raises ValueError for a doubled name and version, a name that is no routing key, an unknown owner,
    or a queue that is bound to an unregistered message or to a reply.
    """
    seen: set[tuple[str, int]] = set()
    for cls in messages:
        if (cls.name, cls.version) in seen:
            raise ValueError(f"message {cls.name} version {cls.version} is registered twice")
        if not _NAME.fullmatch(cls.name) or cls.version < 1:
            raise ValueError(f"{cls.__name__} has the unusable name {cls.name!r} or version {cls.version}")
        if cls.owner not in (*SERVICES, "any"):
            raise ValueError(f"{cls.__name__} is owned by the unknown service {cls.owner!r}")
        seen.add((cls.name, cls.version))
    for queue, bound in consumers.items():
        for cls in bound:
            if (cls.name, cls.version) not in seen or cls.reply:
                raise ValueError(f"queue {queue} is bound to {cls.name}, which is unregistered or a reply")


validate(MESSAGES, CONSUMERS)

BY_NAME: Final[Mapping[str, Mapping[int, type[Message]]]] = MappingProxyType(
    {cls.name: {other.version: other for other in MESSAGES if other.name == cls.name} for cls in MESSAGES}
)


def message_class(name: str, version: int) -> type[Message] | None:
    """Class of a message by its wire name and version, or None when there is no such message."""
    return BY_NAME.get(name, {}).get(version)


def queues_of(name: str) -> tuple[str, ...]:
    """Names of the queues that receive the message, none for a reply or for one that nobody acts on yet."""
    return tuple(queue for queue, bound in CONSUMERS.items() if any(cls.name == name for cls in bound))


def unbound() -> tuple[type[Message], ...]:
    """Messages that are published for whoever may come, but that no queue receives yet."""
    return tuple(cls for cls in MESSAGES if not cls.reply and not queues_of(cls.name))
