"""The slow sweep: what bears our mark and is of a bay that we buried is removed (rule 4), and what somebody else did to
bays at rest is found (`drift`).

It finds a stack or a server group whose creating call arrived after its bay was gone, what a buried bay's own services
left (`graves`), a server group whose call arrived after its bay's stack was rendered with another one, and a node
credential whose bay was never written.
One replica sweeps at a time; young things are left alone, because their row may be about to be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.provisioner.drift import compare
from services.provisioner.factory import Deps
from services.provisioner.graves import clear_stack, sweep_attached
from services.provisioner.steps.delete import revoke
from shared.db.locks import alone
from shared.db.repositories import drift, stack_names, stacks
from shared.domain import names
from shared.domain.errors import ClientFault, CloudError
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import NovaClient, ServerGroup
from shared.openstack.stacks import StackSummary

_log = structlog.get_logger()
_LOCK: Final = 0x73776565
_GRAVE_DAYS: Final = 30
_GOING_AT_MOST: Final = timedelta(hours=1)
"""A deletion that has gone on for longer is asked for again: Heat does not take it up when its engine died."""


async def sweep_forever(deps: Deps) -> None:
    """Sweep now and every `sweep_minutes`, as long as the process lives."""
    pause = deps.settings.sweep_minutes * 60 * deps.settings.time_scale
    while True:
        try:
            async with alone(deps.engine, _LOCK) as mine:
                if mine:
                    await sweep_once(deps, older_than=pause)
        except Exception:  # trouble must not make the sweep more frequent; a cancellation ends it at once
            _log.exception("sweep failed")
        await asyncio.sleep(pause)


async def sweep_once(deps: Deps, *, older_than: float) -> None:
    """Remove what is older than so many seconds and has no owner. Trouble in one project does not stop the others."""
    async with deps.engine.connect() as conn:
        projects = await stacks.projects_to_sweep(conn, days=_GRAVE_DAYS)
        orphans = await stacks.orphan_credentials(conn, older_than=older_than)
    for project_id in projects:
        try:
            await _sweep_project(deps, project_id, older_than)
        except CloudError as error:
            _log.warning("project not swept", project=project_id, reason=error.message)
        except Exception:
            _log.exception("project not swept", project=project_id)
    for orphan in orphans:
        try:
            await revoke(deps, orphan.user_id, orphan.name)
        except (CloudError, ClientFault) as error:
            _log.warning("orphan not revoked", bay=str(orphan.bay_id), reason=str(error))
            continue
        async with deps.engine.begin() as conn:
            await stacks.forget_credentials(conn, orphan.bay_id, [orphan.generation])
        _log.warning("orphan revoked", bay=str(orphan.bay_id))
    async with deps.engine.begin() as conn:
        await stacks.forget_graves(conn, days=_GRAVE_DAYS)


async def _sweep_project(deps: Deps, project_id: str, older_than: float) -> None:
    cloud = deps.cloud.for_project(project_id)
    async with deps.engine.connect() as conn:
        resting = await drift.resting(conn, project_id)
    listed = await cloud.heat.list_project()
    await _apart(project_id, _sweep_stacks(deps, cloud, project_id, listed, older_than))
    await _apart(project_id, compare(deps, cloud, resting, listed))
    await _apart(project_id, _sweep_server_groups(deps, cloud.nova))
    await _apart(project_id, sweep_attached(deps, cloud, project_id))


async def _apart(project_id: str, part: Awaitable[None]) -> None:
    """A part of the sweep whose trouble does not stop the others."""
    try:
        await part
    except CloudError as error:
        _log.warning("part of a project not swept", project=project_id, reason=error.message)


async def _sweep_server_groups(deps: Deps, nova: NovaClient) -> None:
    """Nova does not tell how old a group is. That does no harm: a bay has its tombstone when its groups are deleted,
    and its render, with the group that it uses, before another group can be too many."""
    marked = {group: owner for group in await nova.server_groups() if (owner := names.group_owner(group.name))}
    if not marked:
        return
    async with deps.engine.connect() as conn:
        buried = await stack_names.buried(conn, set(marked.values()))
        rendered = await stack_names.parameters(conn, set(marked.values()))
    used = {group.name for group in marked if _in_use(group, rendered.get(marked[group], {}))}
    for group, owner in marked.items():
        double = group.name in used and not _in_use(group, rendered[owner])
        if owner in buried or double:
            _log.warning("server group deleted", group=group.id, name=group.name, double=double)
            await nova.delete_server_group(group.id)


def _in_use(group: ServerGroup, parameters: Mapping[str, str]) -> bool:
    return group.id in parameters.values()


async def _sweep_stacks(
    deps: Deps, cloud: ProjectCloud, project_id: str, listed: list[StackSummary], older_than: float
) -> None:
    marked = {stack: owner for stack in listed if (owner := _owner(stack, older_than))}
    if not marked:
        return
    async with deps.engine.connect() as conn:
        alive = await stacks.existing(conn, list(marked.values()))
        buried = await stacks.buried(conn, list(marked.values()))
    for stack, owner in marked.items():
        if owner in buried:
            _log.warning("orphan stack deleted", stack=stack.id, bay=str(owner))
            await _apart(project_id, _delete_stack(cloud, owner, project_id, stack))
        elif owner not in alive:
            # A row comes before its stack and leaves a tombstone, so this bay is of another installation or of a newer
            # state of this database than the one that was restored: not ours to delete.
            _log.warning("stack of an unknown bay left alone", stack=stack.id, bay=str(owner))


async def _delete_stack(cloud: ProjectCloud, owner: UUID, project_id: str, stack: StackSummary) -> None:
    await clear_stack(cloud, owner, project_id, stack)
    await cloud.heat.delete(stack.id)


def _owner(stack: StackSummary, older_than: float) -> UUID | None:
    """The bay that the stack's tag names, None for a stack that is young, going already, or not ours."""
    created = _moment(stack.created_at)
    if created is None or datetime.now(UTC) - created < timedelta(seconds=older_than):
        return None
    changed = _moment(stack.updated_at or "") or created
    if stack.status == "DELETE_IN_PROGRESS" and datetime.now(UTC) - changed < _GOING_AT_MOST:
        return None
    return next((bay_id for tag in stack.tags if (bay_id := names.tagged_bay(tag))), None)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
