"""What somebody else did to bays at rest: a stack deleted or changed, a server deleted, stopped or broken.

Nothing watches a bay on which nothing is under way. The slow sweep lists a project's stacks and servers once, however
many bays it has, and this compares them with our record. A lost stack is the end of its bay; all else is told in
`health_status_reason`, and taken back when it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from services.provisioner.factory import Deps
from services.provisioner.steps.gone import is_gone
from shared.db.repositories import drift
from shared.db.repositories.drift import PREFIX, Resting
from shared.db.repositories.drift import Server as Node
from shared.db.repositories.health import server_key
from shared.domain import names
from shared.domain.advice import MOST_FAULTS
from shared.domain.errors import CloudError
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server
from shared.openstack.stacks import StackSummary

_log = structlog.get_logger()

_STACK: Final = f"{PREFIX}stack"
_MORE: Final = f"{PREFIX}more"
_LOOKS_ONLY: Final = frozenset({"CHECK_COMPLETE", "CHECK_IN_PROGRESS", "SNAPSHOT_COMPLETE", "SNAPSHOT_IN_PROGRESS"})
"""What somebody may do to a stack that changes nothing of it."""
_WELL: Final = frozenset({"ACTIVE", "REBOOT", "HARD_REBOOT", "PASSWORD", "MIGRATING", "RESIZE", "VERIFY_RESIZE"})
_ENDED: Final = frozenset({"DELETED", "SOFT_DELETED"})
_LONGEST: Final = 1000
"""Characters of one reason: it may hold Nova's or Heat's own words."""


@dataclass
class Found:
    """What is to be said of one bay."""

    lost: str = ""
    """Why the bay is at its end; "" when it is not."""
    reasons: dict[str, str] = field(default_factory=dict)
    ill: bool = False

    def say(self, key: str, reason: str, *, ill: bool = True) -> None:
        """Add a reason."""
        self.reasons[key] = reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"
        self.ill = self.ill or ill


async def compare(deps: Deps, cloud: ProjectCloud, resting: Iterable[Resting], listed: Iterable[StackSummary]) -> None:
    """Compare the bays with the cloud; `resting` was read before `listed` was, so what it has must be in it."""
    bays, stacks = list(resting), {stack.id: stack for stack in listed}
    if not bays:
        return
    servers = {server.id: server for server in await cloud.nova.servers()}
    unseen = {
        one.id: stacks[one.stack_id].seen
        for one in bays
        if one.stack_seen is None and one.stack_id in stacks and stacks[one.stack_id].phase == "COMPLETE"
    }
    if unseen:
        async with deps.engine.begin() as conn:
            await drift.remember_first(conn, unseen)
    for one in bays:
        try:
            await _look(deps, cloud, one, stacks, servers)
        except CloudError as error:
            _log.warning("bay not compared", bay=str(one.id), reason=error.message)


async def _look(
    deps: Deps,
    cloud: ProjectCloud,
    one: Resting,
    stacks: Mapping[str, StackSummary],
    servers: Mapping[str, Server],
) -> None:
    found = Found()
    running = any(node.id in servers and servers[node.id].status == "ACTIVE" for node in one.servers)
    await _judge_stack(cloud, one, stacks.get(one.stack_id), found, running=running)
    if not found.lost:
        await _judge_servers(cloud, one, servers, found)
        if found.reasons == one.told:
            return
    async with deps.engine.begin() as conn:
        if not await drift.still(conn, one):
            return
        if found.lost:
            await drift.lose(conn, one, found.lost)
        else:
            await drift.tell(conn, one.id, found.reasons, ill=found.ill)
    _log.warning("bay differs from the cloud", bay=str(one.id), found=found.lost or found.reasons)


async def _judge_stack(
    cloud: ProjectCloud, one: Resting, stack: StackSummary | None, found: Found, *, running: bool
) -> None:
    """`running`: whether a server of the bay is; then it is not at its end, whatever Heat tells."""
    named = f"Stack {one.stack_name} ({one.stack_id})"
    if stack is None:
        stack = await cloud.heat.show(one.stack_id)  # the listing goes by our tag, which somebody may have taken off
        if stack is None or stack.status == "DELETE_COMPLETE":
            if running:
                found.say(_STACK, f"{named} not found in Heat, but the bay's servers run: was it abandoned?")
                return
            found.lost = (
                f"{named} not found in Heat: somebody deleted it, and the bay's servers with it. "
                "Delete the bay, and create it anew."
            )
            return
        if names.TAG not in stack.tags:
            found.say(_STACK, f"{named} has lost its tags: somebody else changed it.", ill=False)
    if stack.action == "DELETE":
        words = "is being deleted" if stack.phase == "IN_PROGRESS" else f"was to be deleted: {stack.reason}"
        found.say(_STACK, f"{named} {words}; not by this service.")
    elif one.changed and _changed(one, stack):
        ill = stack.phase == "FAILED" or stack.action == "SUSPEND"
        when = f" at {stack.updated_at}" if stack.updated_at else ""
        found.say(_STACK, f"{named} was changed by somebody else{when}: {stack.status}, {stack.reason}", ill=ill)


def _changed(one: Resting, stack: StackSummary) -> bool:
    """Whether it looks otherwise than our last operation left it, and not only because somebody looked at it."""
    if one.stack_seen is None or stack.status in _LOOKS_ONLY:
        return False
    return one.stack_seen != stack.seen


async def _judge_servers(cloud: ProjectCloud, one: Resting, servers: Mapping[str, Server], found: Found) -> None:
    more = 0
    for node in one.servers:
        key, server = server_key(node.name), servers.get(node.id)
        missing = server is None or server.status in _ENDED
        if server is not None and server.status in _WELL:
            continue
        if len(found.reasons) >= MOST_FAULTS:  # of so many nobody is asked for by itself
            more += 1
        elif missing and (key in one.told or await is_gone(cloud.nova, node.id)):
            cure = "Resize the bay to replace it." if node.role == "worker" else "The bay has to be created anew."
            found.say(key, f"{_named(node)} is gone: somebody deleted it. {cure}")
        elif server is not None and not missing:
            why = f": {server.fault}" if server.fault else ""
            found.say(key, f"{_named(node)} is {server.status} in Nova{why}.")
    if more:
        found.say(_MORE, f"and {more} more servers that are gone or not well, as far as Nova's listing tells.")


def _named(node: Node) -> str:
    return f"Server {node.name} ({node.id}), a {node.role},"
