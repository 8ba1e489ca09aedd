"""Which certificates a node may have: what its driver declares for the role that was attested, and nothing else."""

from __future__ import annotations

from typing import Final

from services.certs.profiles import Refused
from shared.db.repositories.attestations import Attestation
from shared.db.repositories.sign_requests import NODE_PREFIX, SignRequest
from shared.domain.node_profiles import PROFILES, NodeProfile
from shared.drivers.contract import Driver, Role

MASTER: Final[Role] = "master"
WORKER: Final[Role] = "worker"


def profile_of(request: SignRequest, attested: Attestation, driver: Driver) -> NodeProfile:
    """The profile that a node's sign request names, if this node may have it.

    Raises:
        Refused: it may not, or the request is not this attestation's.
    """
    name = request.profile.removeprefix(NODE_PREFIX)
    profile = PROFILES.get(name)
    if profile is None or not request.profile.startswith(NODE_PREFIX):
        raise Refused(f"The signing profile {request.profile!r} is not supported.", field="profile")
    role = role_of(attested)
    if name not in driver.certificates[role] or (profile.masters_only and role != MASTER):
        raise Refused(f"A {role} of this bay does not get the certificate {name!r}.", field="profile")
    mine = (attested.bay_id, attested.requester, attested.csr_digest, profile.authority)
    if mine != (request.bay_id, request.requester, request.csr_digest, request.authority_kind):
        raise Refused("The sign request is not the one that was attested.")
    return profile


def role_of(attested: Attestation) -> Role:
    """Its role, which the table's own check keeps to these two."""
    return MASTER if attested.role == MASTER else WORKER
