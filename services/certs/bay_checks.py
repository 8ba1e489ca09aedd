"""What of a person's certificate depends on the bay: whose the addresses are, and what its groups are worth there."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.client_policy import ClientPolicy
from services.certs.profiles import LeafPlan
from services.certs.refusals import Refused, invalid
from shared.db.repositories import bays, stacks
from shared.db.repositories.sign_requests import SignRequest
from shared.domain import client_profiles
from shared.domain.errors import InvalidInput
from shared.domain.own_addresses import foreign, own_networks
from shared.drivers.contract import Driver


async def check_bay(
    engine: AsyncEngine, request: SignRequest, plan: LeafPlan, policy: ClientPolicy, drivers: Callable[[str], Driver]
) -> None:
    """Let a plan through that suits the bay. Most name no address and no limited group, and cost no query.

    Raises:
        Refused: an address is not the bay's, or the bay's software would not heed the certificate's group.
    """
    profile = client_profiles.PROFILES.get(request.profile)
    limited = profile is not None and profile.limited
    if not limited and not plan.addresses:
        return
    async with engine.connect() as conn:
        bay = await bays.get(conn, request.bay_id)
        nodes = await stacks.nodes_of(conn, request.bay_id) if plan.addresses else []
    if bay is None:
        return  # its requests and certificates go with it
    if limited and not _reads_groups(drivers, bay.driver):
        raise Refused(
            f"This bay's software ({bay.driver}) gives all rights to every certificate, so it can have none of profile "
            f"{request.profile}.",
            field="profile",
        )
    addresses = [bay.api_address, *(one for node in nodes for one in (node.address, node.private_address))]
    own = (*own_networks(bay.driver, bay.spec, addresses), *policy.networks)
    stranger = foreign(sorted(plan.addresses, key=str), own)
    if stranger is not None:
        raise invalid(
            f"{stranger} is not an address of this bay; allowed are those of its nodes and its API, its own networks "
            "and loopback"
        )


def _reads_groups(drivers: Callable[[str], Driver], name: str) -> bool:
    try:
        return drivers(name).reads_groups
    except InvalidInput:  # of a release that had other drivers
        return False
