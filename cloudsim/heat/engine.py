"""The simulated Heat of one world: which stacks there are, and the doors by which requests change them.

A request is checked, its effect is written and its work is started as one task a root stack, all before anything is
awaited: an answer that is lost loses nothing. Nothing runs when no stack is busy.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from cloudsim.heat import check, environment, lifecycle
from cloudsim.heat.behaviour import Behaviours
from cloudsim.heat.environment import Environment
from cloudsim.heat.errors import (
    ActionInProgress,
    EntityNotFound,
    NotSupported,
    RequestLimitExceeded,
    StackExists,
)
from cloudsim.heat.files import Files
from cloudsim.heat.resources.base import Kind
from cloudsim.heat.stack import FAILED, IN_PROGRESS, Resource, Stack
from cloudsim.heat.template import Template, load
from cloudsim.world import World

_KEPT_DELETED = 200  # deleted stacks that can still be shown by id


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a stack is to become: everything a create or update request says, parsed and checked."""

    template: Template
    environment: Environment
    files: Files
    params: Mapping[str, Any]
    tags: Sequence[str] = ()
    timeout_mins: int | None = None
    disable_rollback: bool = True


@dataclass(frozen=True, slots=True)
class Owner:
    """For whom and where a stack is made."""

    project_id: str
    user_id: str
    user_name: str
    base_url: str


class Engine:
    """All stacks of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviours = Behaviours()
        self.stacks: dict[str, Stack] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.deleted: OrderedDict[str, Stack] = OrderedDict()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.handles: dict[str, Resource] = {}  # wait handles by their one-time id
        self.configs: dict[str, Resource] = {}  # software configs by id
        self.intents: dict[str, str] = {}  # why a root stack's task was cancelled: timeout, rollback, stop
        self.dropped: set[str] = set()  # root stacks whose work was cut off without a trace
        self.alive = asyncio.Event()  # cleared while the engine is dead
        self.alive.set()
        self._kinds: dict[str, Kind] = {}
        world.on_reset.append(self.reset)
        world.on_lose_stack = self._lose_hook

    # Small things that many need

    def second(self) -> int:
        """Now in whole seconds; the same object within a second, since very many are kept."""
        return self.world.store.second()

    def kind_of(self, type_name: str) -> Kind:
        """The kind of a resolved type name; a nested template's when it names a file. Raises StackValidationFailed."""
        kind = self._kinds.get(type_name)
        if kind is None:
            from cloudsim.heat.resources.registry import make_kind  # noqa: PLC0415  (kinds use the engine)

            kind = self._kinds[type_name] = make_kind(type_name)
        return kind

    def load(self, text: Any) -> Template:
        """A template within this world's limit of size."""
        return load(text, self.world.settings.max_template_size)

    def record_status(self, stack: Stack) -> None:
        """Keep the store's record of a root stack in step; nested ones have none."""
        record = self.world.store.get("stack", stack.id) if stack.parent is None else None
        if record is not None:
            self.world.store.update(record, stack_status=stack.full_status)

    def summary(self) -> list[dict[str, Any]]:
        """Every living stack, for the control endpoint."""
        return [
            {
                "id": stack.id,
                "stack_name": stack.name,
                "project_id": stack.project_id,
                "parent": stack.parent.stack.id if stack.parent else None,
                "stack_status": stack.full_status,
                "resources": len(stack.resources),
            }
            for stack in self.stacks.values()
        ]

    # Finding

    def roots_of(self, project_id: str) -> list[Stack]:
        """A project's living root stacks; costs what the project's stacks cost, however many others there are."""
        found = (self.stacks.get(record.id) for record in self.world.store.list("stack", project_id))
        return [stack for stack in found if stack is not None]

    def find(self, project_id: str, wanted: str, *, deleted: bool = True) -> Stack:
        """A stack by name or id. Raises EntityNotFound."""
        stack = self.stacks.get(self.names.get((project_id, wanted), wanted))
        if stack is None and deleted:
            stack = self.deleted.get(wanted)
        if stack is None or stack.project_id != project_id:
            raise EntityNotFound("Stack", wanted)
        return stack

    def idle_and_empty(self) -> bool:
        """Whether no stack lives, no work runs, and nothing is left of stacks that did."""
        return not any((self.stacks, self.names, self.tasks, self.handles, self.configs, self.intents))

    # Requests

    def create(self, owner: Owner, name: str, plan: Plan) -> Stack:
        """Make a root stack and start creating it. Raises StackExists and what the checks raise."""
        if (owner.project_id, name) in self.names:
            raise StackExists(name)
        stack = Stack(self, str(uuid.uuid4()), name, owner.project_id, plan.template)
        stack.user_id, stack.user_name, stack.base_url = owner.user_id, owner.user_name, owner.base_url
        self._adopt(stack, plan)
        check.whole(self, stack)
        self.register(stack)
        stack.mark("CREATE", IN_PROGRESS, "Stack CREATE started")
        self._start(stack, partial(lifecycle.create_root, self, stack))
        return stack

    def preview(self, owner: Owner, name: str, plan: Plan) -> Stack:
        """A stack that is checked and goes no further."""
        stack = Stack(self, str(uuid.uuid4()), name, owner.project_id, plan.template)
        stack.user_id, stack.user_name, stack.base_url = owner.user_id, owner.user_name, owner.base_url
        self._adopt(stack, plan)
        check.whole(self, stack)
        return stack

    def update(self, stack: Stack, plan: Plan) -> None:
        """Start changing a root stack into the plan, whatever is under way on it, which is stopped.

        Raises NotSupported and what the checks raise.
        """
        self.check_update(stack, plan)
        before = self.plan_of(stack)
        cancelled = lifecycle.cancelled_by_update(stack) if stack.id in self.tasks else ""
        self.dropped.add(stack.id)
        self._stop(stack)
        self._adopt(stack, plan)
        stack.updated_at = self.second()
        stack.mark("UPDATE", IN_PROGRESS, "Stack UPDATE started")
        self._start(stack, partial(lifecycle.update_root, self, stack, before, cancelled))

    def check_update(self, stack: Stack, plan: Plan) -> None:
        """Refuse an update that could not begin."""
        if stack.action == "DELETE":
            raise NotSupported("Updating a stack when it is deleting is not supported.")
        if stack.parent is not None:
            raise NotSupported("Updating a nested stack is not supported.")
        self.check_plan(stack, plan)

    def check_plan(self, stack: Stack, plan: Plan) -> None:
        """Check what a stack is to become."""
        trial = Stack(self, stack.id, stack.name, stack.project_id, plan.template)
        trial.user_id = stack.user_id
        self._adopt(trial, plan)
        check.whole(self, trial)

    def delete(self, stack: Stack) -> None:
        """Start deleting a stack; what runs on it is stopped first. Deleting twice is one deletion.

        Raises NotSupported for a nested stack.
        """
        if stack.parent is not None:
            raise NotSupported("Deleting a nested stack is not supported.")
        deleting = stack.action == "DELETE" and stack.busy and stack.id in self.tasks
        if stack.id not in self.stacks or deleting:
            return
        self.intents.pop(stack.id, None)  # a rollback that was asked for and has not begun is pointless now
        self._stop(stack)
        stack.mark("DELETE", IN_PROGRESS, "Stack DELETE started")
        self._start(stack, partial(lifecycle.delete_root, self, stack))

    def cancel_update(self, stack: Stack, *, rollback: bool) -> None:
        """Stop the running update, and go back to what was before when asked. Raises NotSupported when none runs."""
        if not (stack.busy and stack.action in ({"UPDATE"} if rollback else {"UPDATE", "CREATE"})):
            raise NotSupported(f"Cancelling update when stack is {(stack.action, stack.status)} is not supported.")
        task = self.tasks.get(stack.id)
        if task is not None:
            self.intents[stack.id] = "rollback" if rollback else "stop"
            task.cancel()

    def check(self, stack: Stack) -> None:
        """Look whether everything the stack holds is still there."""
        if stack.busy:
            raise ActionInProgress(stack.name, stack.action)
        stack.mark("CHECK", IN_PROGRESS, "Stack CHECK started")
        self._start(stack, partial(lifecycle.check_root, self, stack))

    def signal(self, handle: Resource, details: Mapping[str, Any] | None) -> str:
        """Give a wait handle a signal; the answer is its reason."""
        from cloudsim.heat.resources.waits import receive  # noqa: PLC0415  (kinds use the engine)

        return receive(handle, details or {})

    # The plan

    def plan_of(self, stack: Stack) -> Plan:
        """What a root stack is now."""
        return Plan(
            template=stack.template,
            environment=stack.environment or environment.empty(),
            files=stack.files,
            params=stack.params,
            tags=stack.tags,
            timeout_mins=stack.timeout_mins,
            disable_rollback=stack.disable_rollback,
        )

    def _adopt(self, stack: Stack, plan: Plan) -> None:
        stack.environment, stack.files, stack.tags = plan.environment, plan.files, plan.tags
        stack.timeout_mins, stack.disable_rollback = plan.timeout_mins, plan.disable_rollback
        stack.use(plan.template, plan.params)

    def go_back(self, stack: Stack, plan: Plan) -> None:
        """Take the plan of before; tags and options stay those of the request."""
        stack.environment, stack.files = plan.environment, plan.files
        stack.use(plan.template, plan.params)

    # Nested stacks

    def new_child(self, parent: Resource, template: Template, params: Mapping[str, Any]) -> Stack:
        """Make the nested stack of a resource. Raises RequestLimitExceeded over the limit of resources a tree."""
        from cloudsim.heat.resources.base import physical_name  # noqa: PLC0415

        child = Stack(self, str(uuid.uuid4()), physical_name(parent), parent.stack.project_id, template)
        child.parent, child.root, child.params = parent, parent.stack.root, params
        child.user_id, child.user_name = child.root.user_id, child.root.user_name
        self.check_limit(child.root, len(child.enabled()))
        parent.nested, parent.physical_id = child, child.id
        self.register(child)
        return child

    def check_limit(self, root: Stack, more: int) -> None:
        """Raise RequestLimitExceeded when a tree with so many more resources would be too large."""
        limit = self.world.settings.max_resources_per_stack
        if limit >= 0 and root.total_resources() + more > limit:
            raise RequestLimitExceeded("Request limit exceeded: Maximum resources per stack exceeded.")

    # The register

    def register(self, stack: Stack) -> None:
        """A stack exists from here on."""
        self.stacks[stack.id] = stack
        if stack.parent is None:
            self.names[stack.project_id, stack.name] = stack.id
            attrs = {"stack_name": stack.name, "stack_status": stack.full_status}
            self.world.store.create("stack", stack.project_id, attrs, id=stack.id)

    def forget(self, stack: Stack) -> None:
        """A stack is gone; a root can be shown by id for a while."""
        self.stacks.pop(stack.id, None)
        if stack.parent is None:
            self.world.store.delete("stack", stack.id)
            if self.names.get((stack.project_id, stack.name)) == stack.id:
                del self.names[stack.project_id, stack.name]
            self.deleted[stack.id] = stack
            if len(self.deleted) > _KEPT_DELETED:
                self.deleted.popitem(last=False)

    def lose(self, stack_id: str) -> bool:
        """Forget a root stack and what it holds, as if it never was. False when there is none."""
        stack = self.stacks.get(stack_id)
        if stack is None or stack.parent is not None:
            return False
        self._stop(stack)
        lifecycle.drop_everything(self, stack)
        self.deleted.pop(stack.id, None)
        return True

    def _lose_hook(self, stack_id: str) -> None:
        self.lose(stack_id)

    def reset(self) -> None:
        """Stop everything and forget everything."""
        for task in self.tasks.values():
            task.cancel()
        for table in (self.stacks, self.names, self.deleted, self.tasks, self.handles, self.configs, self.intents):
            table.clear()
        self.behaviours.clear()
        self.dropped.clear()
        self.alive.set()

    # Death

    def die(self) -> None:
        """Stop at once, as by SIGKILL: what is under way stays IN_PROGRESS, and nobody ever goes on with it."""
        self.alive.clear()
        self.dropped.update(self.tasks)
        for task in self.tasks.values():
            task.cancel()
        self.tasks.clear()

    def live(self) -> None:
        """A new engine: it takes requests, also those that came meanwhile."""
        self.alive.set()

    # Tasks

    def _start(self, stack: Stack, work: Callable[[], Awaitable[None]]) -> None:
        previous = self.tasks.get(stack.id)
        task = asyncio.get_running_loop().create_task(_after(previous, work), name=f"heat {stack.name} {stack.action}")
        self.tasks[stack.id] = task
        task.add_done_callback(lambda done: self._ended(stack.id, done))

    def _ended(self, stack_id: str, task: asyncio.Task[None]) -> None:
        if self.tasks.get(stack_id) is task:
            del self.tasks[stack_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            stack = self.stacks.get(stack_id)
            if stack is not None:
                stack.mark(stack.action, FAILED, f"{type(error).__name__}: {error}")

    def _stop(self, stack: Stack) -> None:
        task = self.tasks.get(stack.id)
        if task is not None:
            task.cancel()


async def _after(previous: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work when the task before it has let go."""
    if previous is not None:
        await asyncio.wait([previous])
    await work()


_ENGINES: WeakKeyDictionary[World, Engine] = WeakKeyDictionary()


def engine_of(world: World) -> Engine:
    """The world's Heat, made on first use."""
    engine = _ENGINES.get(world)
    if engine is None:
        engine = _ENGINES[world] = Engine(world)
    return engine
