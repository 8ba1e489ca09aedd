"""What happens to a stack: create, update, roll back, delete, check.

Create is an update from nothing: `converge` makes a stack what its template says, in dependency order, and then
deletes what is left over. Of a root stack `_attempt` adds the time limit, cancellation and the status at the end.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from cloudsim.errors import ApiFault
from cloudsim.heat import compare
from cloudsim.heat.behaviour import Rule
from cloudsim.heat.errors import HeatFault, ResourceFailure
from cloudsim.heat.resources.base import Waiting
from cloudsim.heat.stack import COMPLETE, FAILED, IN_PROGRESS, NO_PROPERTIES, Resource, Stack, snapshot
from cloudsim.heat.template import ResourceDefinition
from cloudsim.heat.walk import walk

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine, Plan

Starter = Callable[[], Waiting | None]

_DEFAULT_TIMEOUT_MINS = 60
_IN_PLACE_SECONDS = 0.1

_WAITS = "OS::Heat::WaitCondition"

_ANY_FAILURE = (ResourceFailure, HeatFault, ApiFault, KeyError, ValueError)

# Types that use any subnet of their stack's networks, and those that need a router's way out, without naming them.
_NEED_SUBNETS = frozenset({"OS::Neutron::Port", "OS::Nova::Server", "OS::Octavia::LoadBalancer"})
_NEED_ROUTES = frozenset({"OS::Neutron::FloatingIP", "OS::Neutron::FloatingIPAssociation"})


# Root stacks


async def create_root(engine: Engine, stack: Stack) -> None:
    """Create, and delete everything again when that fails and the request asked for it."""
    if await _attempt(engine, stack, "CREATE") and not stack.disable_rollback:
        stack.mark("ROLLBACK", IN_PROGRESS, "Stack ROLLBACK started")
        await _attempt(engine, stack, "ROLLBACK", keep_nothing=True)


async def update_root(engine: Engine, stack: Stack, before: Plan, cancelled: str = "") -> None:
    """Update, and go back to the plan of before when that fails and the request (or a cancellation) asked for it.

    `cancelled`: why it fails although all was made, since it stopped an engine that was waiting for nodes.
    """
    take_over(engine, stack)
    failed = await _attempt(engine, stack, "UPDATE")
    if cancelled and not failed:
        stack.mark("UPDATE", FAILED, cancelled)
        return
    if failed == "rollback" or (failed == "failed" and not stack.disable_rollback):
        engine.go_back(stack, before)
        stack.mark("ROLLBACK", IN_PROGRESS, "Stack ROLLBACK started")
        await _attempt(engine, stack, "ROLLBACK")


async def delete_root(engine: Engine, stack: Stack) -> None:
    """Delete all resources, then the stack."""
    engine.dropped.discard(stack.id)
    settle(stack)
    if not await _attempt(engine, stack, "DELETE", keep_nothing=True):
        stack.deleted_at = engine.second()
        engine.forget(stack)


async def check_root(engine: Engine, stack: Stack) -> None:
    """Mark each resource by whether its thing is still there."""
    missing: list[str] = []
    for part in stack.tree():
        for resource in part.resources.values():
            there = resource.kind.exists(engine, resource)
            resource.mark(
                "CHECK",
                COMPLETE if there else FAILED,
                "state changed" if there else "The resource was deleted outside of Heat",
            )
            missing += [] if there else [resource.name]
    reason = (
        f"Resource CHECK failed: {', '.join(missing)} not found" if missing else "Stack CHECK completed successfully"
    )
    stack.mark("CHECK", FAILED if missing else COMPLETE, reason)


async def _attempt(engine: Engine, stack: Stack, action: str, *, keep_nothing: bool = False) -> str:
    """Bring the stack where it should be and mark the outcome: "" is success, else "failed", "stop" or "rollback"."""
    task = asyncio.current_task()
    minutes = stack.timeout_mins or _DEFAULT_TIMEOUT_MINS

    def time_out() -> None:
        if task is not None:
            engine.intents[stack.id] = "timeout"
            task.cancel()

    timer = engine.world.clock.call_later(minutes * 60, time_out)
    outcome = "failed"
    try:
        if keep_nothing:
            await delete_all(engine, [*stack.resources.values(), *stack.leftovers])
        else:
            await converge(engine, stack)
    except ResourceFailure as failure:
        reason = f"Resource {failure.action or action} failed: {failure.reason()}"
    except HeatFault as fault:
        reason = f"{type(fault).__name__}: {fault}"
    except asyncio.CancelledError:
        intent = engine.intents.pop(stack.id, "")
        if not intent:
            raise
        outcome = "failed" if intent == "timeout" else intent
        reason = f"{action.title()} timed out" if intent == "timeout" else f"Stack {action} cancelled"
    else:
        stack.mark(action, COMPLETE, f"Stack {action} completed successfully")
        return ""
    finally:
        timer.cancel()
    settle(stack)
    stack.mark(action, FAILED, reason)
    return outcome


def settle(stack: Stack) -> None:
    """After work was cut off: nothing in the tree is in progress any more."""
    for part in stack.tree():
        for resource in (*part.resources.values(), *part.leftovers):
            if resource.status == IN_PROGRESS:
                resource.mark(resource.action, FAILED, f"{resource.action} aborted")
        if part is not stack and part.busy:
            part.mark(part.action, FAILED, f"Stack {part.action} aborted")


def take_over(engine: Engine, stack: Stack) -> None:
    """What nobody works on any more is looked at anew: what exists is kept, what was being waited for is made again."""
    engine.dropped.discard(stack.id)
    for part in stack.tree():
        for resource in (*part.resources.values(), *part.leftovers):
            if resource.status == IN_PROGRESS:
                resource.mark(resource.action, FAILED, f"Worker went down during resource {resource.action}")
                if resource.action != "DELETE" and resource.type != _WAITS and resource.kind.exists(engine, resource):
                    resource.mark(resource.action, COMPLETE)


def cancelled_by_update(stack: Stack) -> str:
    """Why a stack fails whose nodes a living engine waits for, once an update has cut in; "" when it waits for none."""
    for part in stack.tree():
        waits = any(one.type == _WAITS and one.status == IN_PROGRESS for one in part.resources.values())
        if waits and part.parent is not None:
            return f"Resource UPDATE failed: {path_of(part.parent)}: Stack UPDATE cancelled"
    return ""


# Nested stacks


async def converge_nested(engine: Engine, stack: Stack, action: str) -> None:
    """Create or update a nested stack. Raises ResourceFailure with the path inside it."""
    stack.mark(action, IN_PROGRESS, f"Stack {action} started")
    try:
        await converge(engine, stack)
    except ResourceFailure as failure:
        stack.mark(action, FAILED, f"Resource {failure.action} failed: {failure.reason()}")
        raise
    stack.mark(action, COMPLETE, f"Stack {action} completed successfully")


async def delete_nested(engine: Engine, stack: Stack) -> None:
    """Delete a nested stack and forget it."""
    stack.mark("DELETE", IN_PROGRESS, "Stack DELETE started")
    try:
        await delete_all(engine, [*stack.resources.values(), *stack.leftovers])
    except ResourceFailure as failure:
        stack.mark("DELETE", FAILED, f"Resource DELETE failed: {failure.reason()}")
        raise
    engine.forget(stack)


# One stack


async def converge(engine: Engine, stack: Stack) -> None:
    """Make the stack what its template says. Raises ResourceFailure."""
    enabled = stack.enabled()
    engine.check_limit(stack.root, 0)
    needs = requirements(stack, enabled)
    await walk(needs, lambda name: _visit(engine, stack, enabled[name], needs[name]))
    removed = [resource for name, resource in stack.resources.items() if name not in enabled]
    if removed or stack.leftovers:
        await delete_all(engine, [*removed, *stack.leftovers])


def requirements(stack: Stack, enabled: Mapping[str, ResourceDefinition]) -> dict[str, frozenset[str]]:
    """For each resource the names that must be there first: named ones and those that Heat knows of by their types."""
    subnets = frozenset(name for name, one in enabled.items() if one.type == "OS::Neutron::Subnet")
    routes = frozenset(name for name, one in enabled.items() if one.type == "OS::Neutron::RouterInterface")
    needs: dict[str, frozenset[str]] = {}
    for name, definition in enabled.items():
        wanted = definition.reads(stack)
        if subnets and definition.type in _NEED_SUBNETS:
            wanted |= subnets
        elif routes and definition.type in _NEED_ROUTES:
            wanted |= routes
        needs[name] = _shared(wanted if wanted <= enabled.keys() else wanted.intersection(enabled))
    return needs


@lru_cache(maxsize=4096)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """One object for equal sets: the stacks of a template all have the same."""
    return names


def _visit(engine: Engine, stack: Stack, definition: ResourceDefinition, requires: frozenset[str]) -> Waiting | None:
    """Create the resource, or keep, change or replace the one that is there."""
    name = definition.name
    type_name = stack.root.environment.resolve(definition.type, name) if stack.root.environment else definition.type
    current = stack.resources.get(name)
    if current is not None:
        spares = [one for one in stack.leftovers if one.name == name and one.status == COMPLETE]
        for candidate in (current, *spares):
            verdict = _verdict(candidate, definition, type_name)
            if verdict is not None:
                _put_back(stack, current, candidate)
                candidate.definition, candidate.requires = definition, requires
                return _update(engine, candidate, verdict) if verdict.update else None
        stack.leftovers = (*stack.leftovers, current)
    resource = Resource(stack, definition, engine.kind_of(type_name))
    resource.requires = requires
    stack.resources[name] = resource
    return begin(engine, resource, "CREATE", partial(_create, engine, resource), resource.kind.schema.create_seconds)


def _verdict(resource: Resource, definition: ResourceDefinition, type_name: str) -> compare.Verdict | None:
    try:
        return compare.verdict(resource, definition, type_name, resource.stack)
    except HeatFault as fault:
        failure = ResourceFailure(type(fault).__name__, str(fault)).inside(resource.name, "UPDATE")
        resource.mark("UPDATE", FAILED, failure.reason())
        raise failure from fault


def _put_back(stack: Stack, current: Resource, chosen: Resource) -> None:
    """A rollback takes up again what was replaced before and not yet deleted."""
    if chosen is not current:
        stack.leftovers = (*(one for one in stack.leftovers if one is not chosen), current)
        stack.resources[chosen.name] = chosen


def _create(engine: Engine, resource: Resource) -> Waiting | None:
    props = resource.kind.prepare(resource.stack, resource.definition)
    resource.properties = NO_PROPERTIES if resource.kind.nested else snapshot(props, whole=resource.kind.whole)
    return resource.kind.create(engine, resource, props)


def _update(engine: Engine, resource: Resource, verdict: compare.Verdict) -> Waiting | None:
    def start() -> Waiting | None:
        wait = resource.kind.update(engine, resource, verdict.props, verdict.changed)
        resource.properties = (
            NO_PROPERTIES if resource.kind.nested else snapshot(verdict.props, whole=resource.kind.whole)
        )
        return wait

    return begin(engine, resource, "UPDATE", start, 0 if resource.kind.nested else _IN_PLACE_SECONDS)


# One resource


def begin(engine: Engine, resource: Resource, action: str, start: Starter, seconds: float) -> Waiting | None:
    """Start an action; None when it is over already. Raises ResourceFailure."""
    resource.mark(action, IN_PROGRESS)
    rule = None
    if engine.behaviours.rules:
        rule = engine.behaviours.take(
            ("fail", "slow"), resource.type, path_of(resource), resource.stack.root.name, action
        )
    try:
        wait = None if rule is not None and rule.effect == "fail" and action == "DELETE" else start()
    except _ANY_FAILURE as error:
        raise _failed(resource, action, error) from error
    if rule is None and wait is None and not seconds:
        resource.mark(action, COMPLETE)
        return None
    return partial(_finish, engine, resource, action, wait, seconds, rule)


async def _finish(
    engine: Engine, resource: Resource, action: str, wait: Waiting | None, seconds: float, rule: Rule | None
) -> None:
    """Let the action take its time and mark how it ended."""
    try:
        if rule is not None and rule.effect == "slow":
            seconds += rule.seconds
        if seconds:
            await engine.world.clock.sleep(seconds)
        if rule is not None and rule.effect == "fail":
            resource.kind.spoil(engine, resource)
            raise ResourceFailure(rule.error_type, rule.reason)
        if wait is not None:
            await wait()
    except _ANY_FAILURE as error:
        raise _failed(resource, action, error) from error
    except asyncio.CancelledError:
        if resource.stack.root.id not in engine.dropped:
            resource.mark(action, FAILED, f"{action} aborted")
        raise
    resource.mark(action, COMPLETE)


def _failed(resource: Resource, action: str, error: Exception) -> ResourceFailure:
    if isinstance(error, ResourceFailure):
        failure = error.inside(resource.name, action)
    elif isinstance(error, ApiFault):
        told = ResourceFailure(error.kind or "ClientException", _as_told(resource, error))
        failure = told.inside(resource.name, action)
    elif isinstance(error, KeyError):
        failure = ResourceFailure("NotFound", f"{error.args[0]} could not be found.").inside(resource.name, action)
    else:
        failure = ResourceFailure(type(error).__name__, str(error)).inside(resource.name, action)
    resource.mark(action, FAILED, failure.reason())
    return failure


def path_of(resource: Resource) -> str:
    """Names from the root stack down to the resource."""
    parent = resource.stack.parent
    return resource.name if parent is None else f"{path_of(parent)}/{resource.name}"


# Deletion


async def delete_all(engine: Engine, doomed: Iterable[Resource]) -> None:
    """Delete resources of one stack, users before what they use. Raises ResourceFailure."""
    nodes = list(doomed)
    users: dict[Resource, list[Resource]] = {node: [] for node in nodes}
    by_name: dict[str, list[Resource]] = {}
    for node in nodes:
        by_name.setdefault(node.name, []).append(node)
    for node in nodes:
        for name in node.requires:
            for used in by_name.get(name, ()):
                users[used].append(node)
    await walk(users, lambda node: _delete(engine, node))


def _delete(engine: Engine, resource: Resource) -> Waiting | None:
    keep = resource.definition.deletion_policy == "retain"
    start = (lambda: None) if keep else partial(resource.kind.delete, engine, resource)
    wait = begin(engine, resource, "DELETE", start, 0 if keep else resource.kind.schema.delete_seconds)
    if wait is None:
        _remove(resource)
        return None
    return partial(_finish_delete, resource, wait)


async def _finish_delete(resource: Resource, wait: Waiting) -> None:
    await wait()
    _remove(resource)


def _remove(resource: Resource) -> None:
    stack = resource.stack
    if stack.resources.get(resource.name) is resource:
        del stack.resources[resource.name]
    else:
        stack.leftovers = tuple(one for one in stack.leftovers if one is not resource)


def drop_everything(engine: Engine, stack: Stack) -> None:
    """Delete a tree at once and without a trace: the "lose a stack" fault. What is in use elsewhere stays."""
    for resource in reversed((*stack.resources.values(), *stack.leftovers)):  # users were made after what they use
        if resource.nested is not None:
            drop_everything(engine, resource.nested)
            continue
        with suppress(ApiFault):
            resource.kind.delete(engine, resource)
    engine.forget(stack)


def _as_told(resource: Resource, error: ApiFault) -> str:
    """A service's words as its client passes them on; Nova's and Cinder's add the status and the request."""
    if not resource.type.startswith(("OS::Nova::", "OS::Cinder::")):
        return error.message
    return f"{error.message} (HTTP {error.status}) (Request-ID: req-{uuid.uuid4()})"
