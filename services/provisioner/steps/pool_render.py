"""What a further nodegroup's pool is made of: the bay's own render, with what the group has of its own laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from services.provisioner.factory import Deps
from services.provisioner.facts import api_url, facts_of, secrets_of
from services.provisioner.steps.group import Group, generation_of
from shared.db.repositories import nodegroups, stacks
from shared.db.repositories.nodegroups import Nodegroup
from shared.db.repositories.stacks import Render
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.drivers.common.shards import pool_of
from shared.drivers.contract import BayFacts, Role
from shared.worker.outcome import Broke, StepContext


async def pool_render(ctx: StepContext[Deps], group: Group) -> Render | Broke:
    """What the group's newest pool was rendered to, or is to be; the caller keeps it before anything is made of it."""
    pool = group.newest or 0
    async with ctx.deps.engine.connect() as conn:
        found = await stacks.render_of(conn, ctx.bay.id, await generation_of(ctx, pool), pool=pool)
        row = await nodegroups.by_name(conn, ctx.bay.id, group.name)
    if found is not None:
        return found
    if row is None:
        return Broke(f"The nodegroup {group.name} is gone.")
    return await render_for(ctx, ctx.bay, row)


async def render_for(ctx: StepContext[Deps], bay: Bay, row: Nodegroup | None = None) -> Render | Broke:
    """What a pool of the bay is made of, as `bay` has it; with `row` as that further group has it."""
    deps = ctx.deps
    async with deps.engine.connect() as conn:
        ca_pem = await stacks.authority_certificate(conn, bay.id)
        credential = await stacks.credential_of(conn, bay.id)
        first = await stacks.render_of(conn, bay.id, bay.generation)
    parameters: Mapping[str, str] = {} if first is None else first.parameters
    groups: dict[Role, str] = {
        "master": parameters.get("master_server_group", ""),
        "worker": parameters.get("node_server_group", ""),
    }
    facts = facts_of(
        bay,
        ctx.operation,
        settings=deps.settings,
        api=await api_url(deps.cloud, deps.settings, bay),
        ca_pem=ca_pem or "",
        node_sources=deps.node_sources,
        server_groups=groups,
    )
    driver = deps.driver(bay)
    try:
        stack = pool_of(driver.render(facts if row is None else of_group(facts, row), secrets_of(credential)))
    except InvalidInput as error:
        name = facts.nodegroup if row is None else row.name
        return Broke(f"The {bay.driver} driver refused the nodegroup {name}: {error.message}")
    return Render(bay.driver, stack.template, stack.files, stack.environment, stack.parameters)


def of_group(facts: BayFacts, row: Nodegroup) -> BayFacts:
    """The bay as its driver is to see it for the nodes of this group.

    Labels that the group does not have hold as the bay has them: the group's nodes have to fit the bay's masters.
    """
    return replace(
        facts,
        flavor_id=row.flavor_id or facts.flavor_id,
        image_id=row.image_id or facts.image_id,
        docker_volume_size=facts.docker_volume_size if row.docker_volume_size is None else row.docker_volume_size,
        labels={**facts.labels, **row.labels},
        nodegroup=row.name,
        nodegroup_role=row.role,
        node_labels=dict(row.node_labels),
        node_taints=tuple(cast("Mapping[str, str]", dict(one)) for one in row.node_taints),
    )
