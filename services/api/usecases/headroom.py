"""Whether what is asked for fits into the project's quotas in the cloud, before it is accepted.

A bay that fits by the figures may still fail: others use the same project, and quotas are only one of the cloud's
limits. So the provisioner looks once more when its operation starts, with the same comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.api.usecases.checks import Found, Wishes, together
from shared.domain import names
from shared.domain.errors import Forbidden
from shared.domain.headroom import shortfall
from shared.drivers.contract import BayFacts
from shared.drivers.footprint import Footprint
from shared.openstack.cloud import ProjectCloud
from shared.openstack.headroom import allowances, balances, flavors_of, needs
from shared.openstack.nova import Flavor


async def check(
    cloud: ProjectCloud,
    project_id: str,
    need: Footprint,
    flavors: Mapping[str, Flavor] | None = None,
    *,
    group_members: Collection[int] = (),
) -> None:
    """Refuse what Nova, Cinder, Neutron or, for load balancers, Octavia would refuse by quota; all are asked at once.

    Args:
        need: what is wanted beyond what is there: a new bay's footprint, or for a resize the difference.
        flavors: those that were looked up already, by the id or name in `need.servers`; others are asked for.
        group_members: how many servers will be in each of the server groups that are made besides.

    Raises:
        Forbidden: it does not fit; every resource that is short is named with what is needed and what is left.
        InvalidInput: a flavor is gone.
        CloudError: a service refused or did not answer; it names the service.
    """
    if not need.total:
        return
    allowed, sizes = await together(
        allowances(cloud, project_id, balancing=balances(need)), flavors_of(cloud, need.servers, flavors or {})
    )
    assert isinstance(allowed, dict)  # noqa: S101 - what `allowances` returns
    assert isinstance(sizes, dict)  # noqa: S101 - what `flavors_of` returns
    if short := shortfall(needs(need, sizes, group_members), allowed):
        raise Forbidden(f"Resource limit exceeded: {'; '.join(short)}.")


def group_members(facts: BayFacts) -> list[int]:
    """How many servers each of the bay's server groups has."""
    counts = {"master": facts.master_count, "worker": facts.node_count}
    return [counts[role] for role in names.server_groups(facts.stack_name, facts.master_count, facts.labels)]


def flavors_found(wishes: Wishes, found: Found) -> dict[str, Flavor]:
    """The flavors of a new bay by the words that its stack will name them with, as `check` takes them."""
    pairs = ((wishes.flavor, found.flavor), (wishes.master_flavor, found.master_flavor))
    return {word: flavor for word, flavor in pairs if word is not None and flavor is not None}
