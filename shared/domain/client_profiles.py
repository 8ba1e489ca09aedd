"""The certificates that people and our own scaler may have, by profile: whose name is in them and how long they last.

A profile is chosen by who asks. `owner` is Magnum's: the subject as the CSR gives it. For the others the subject, and
by it the rights inside of the bay, comes from here alone; a CSR that asks for another one is refused, not rewritten.
Groups are Kubernetes': the organization of a client certificate is a group of its user
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

OWNER: Final = "owner"
ADMIN: Final = "admin"
READER: Final = "reader"
SCALER: Final = "scaler"

PUBLIC: Final = (OWNER, ADMIN, READER)
"""What may be asked for at the API; the first is what a request gets that names none."""

SCALER_REQUESTER: Final = "service:scaler"
"""As whom our scaler stands in sign requests. No user of Keystone has a colon in their id."""

SHORTEST: Final = timedelta(minutes=10)
"""A certificate is asked for at least so long, so that clocks and the way to the user do not eat it up."""


@dataclass(frozen=True, kw_only=True)
class ClientProfile:
    """A client certificate of the cluster's own authority, with no names of hosts in it."""

    common_name: str
    """What an empty subject gets, and one of the two that a CSR may bring; the other is the requester's id."""
    organization: str
    only_for: str = ""
    """The only requester that may have it; empty: every person who may ask at all."""
    longest: timedelta | None = None
    """It is never valid for longer; None: as the settings say."""
    curves_only: bool = False
    """Whether its key must be an elliptic curve's."""
    limited: bool = False
    """Whether it is worth less than all rights, so that it makes no sense where a bay's software has no groups."""

    def common_names(self, requester: str) -> tuple[str, ...]:
        """The common names that this requester may have."""
        return (self.common_name,) if self.only_for else (self.common_name, requester)


PROFILES: Final[Mapping[str, ClientProfile]] = MappingProxyType(
    {
        ADMIN: ClientProfile(common_name="admin", organization="system:masters"),
        READER: ClientProfile(common_name="reader", organization="jeroboam:readers", limited=True),
        SCALER: ClientProfile(
            common_name="jeroboam-scaler",
            organization="jeroboam:scaler",
            only_for=SCALER_REQUESTER,
            longest=timedelta(hours=1),
            curves_only=True,
        ),
    }
)
"""Those whose subject is fixed; `owner` is not among them."""
