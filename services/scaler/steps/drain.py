"""Moving the work away from nodes that leave, so that nothing is hurt that can be spared.

A pass closes the nodes for new work and asks once for everything on them to go elsewhere; passes follow one another
until nothing is left or the time is up. The time runs from the row that is written before the first node is closed
(shared.db.repositories.drained), by Postgres's clock, so it outlives this process. Whoever dies here leaves rows
behind, by which services/scaler/reopen.py opens the nodes again when the operation has come to nothing.

A node that is not ready, or of which the engine does not know, is waited for until that is to be believed
(services/scaler/steps/doubt.py). In Kubernetes its pods are asked to leave all the same: that needs no kubelet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from services.scaler.factory import Deps, ours
from services.scaler.steps.doubt import HOLD_SECONDS, UNREADY, held, mostly_unready, noted, unready
from services.scaler.steps.drain_time import Hours, going_on, hours
from services.scaler.steps.plan import REACHED, REMOVE, number_in, works
from shared.coe.port import Blocker, Coe, CoeNode, Look
from shared.db.repositories import drained, stacks
from shared.domain.bay import Bay, Node
from shared.domain.errors import CloudError, InvalidInput
from shared.domain.labels import rules_of
from shared.domain.scaling_labels import DRAIN_ON_TIMEOUT, DRAIN_TIMEOUT
from shared.drivers.common.labels import checked
from shared.runtime import failpoint
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

PASS_SECONDS: Final = 3.0
"""Between two passes."""
TRIES: Final = 4
"""So often an API is called that has never answered this operation."""
TRY_SECONDS: Final = 4.0
"""Between two of those."""
FORCE_SECONDS: Final = 60.0
"""How long work gets to end that is driven out by force."""
_DOUBTS_END: Final = 1.5
"""After so many times `HOLD_SECONDS` a drain that was allowed less ends, though a node was not ready all the time."""
_TRIES: Final = "drain_tries"
_SHOWN: Final = 3


@dataclass(frozen=True)
class Terms:
    """What the owner wants of a drain."""

    seconds: float
    """How long it may take; 0: the nodes are not drained."""
    force: bool
    """Whether the nodes go all the same when the time is up."""
    strict: bool = False
    """Whether nodes stay even of a bay whose API never answered: the owner has said `fail` in so many words."""
    known_ill: bool = False
    """Whether it is known by other means that a node which the engine does not call ready is ill: at once believed."""


@dataclass(frozen=True)
class Pass:
    """What one pass came to."""

    look: Look
    nodes: Mapping[str, CoeNode]
    """The engine's view of those that leave, by server id, of whom it knows."""
    left: Sequence[Blocker]
    """On nodes that are ready."""
    stuck: Sequence[Blocker]
    """On nodes that are not."""
    doubted: Sequence[Node]
    """Those of which it is not believed yet that nothing on them can end in order any more."""
    lost: Sequence[Node]
    """Those of which it is."""
    mostly: bool
    """Whether most of the bay's nodes are not ready."""
    memo: Mapping[str, object]


def terms_of(bay: Bay) -> Terms:
    """The terms by the bay's labels."""
    labels = bay.spec.get("labels")
    said = {name: str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}
    asked = said.get(DRAIN_ON_TIMEOUT)
    return Terms(_seconds(bay.driver, said), force=asked == "force", strict=asked == "fail")


def _seconds(driver: str, labels: Mapping[str, str]) -> float:
    rules = rules_of(driver)
    try:
        return float(checked(rules, labels, DRAIN_TIMEOUT))
    except InvalidInput:  # of a bay that is older than the label's meaning
        return float(rules[DRAIN_TIMEOUT].default)


async def drain_leaving(ctx: StepContext[Deps]) -> Outcome:
    """Close the nodes that leave for new work, and move away what runs on them."""
    chosen = ctx.operation.memo.get(REMOVE)
    return await drain_pass(ctx, list(map(str, chosen)) if isinstance(chosen, list) else [], terms_of(ctx.bay))


async def drain_pass(ctx: StepContext[Deps], servers: Collection[str], terms: Terms) -> Outcome:
    """One pass over these servers of the bay: Wait while something is left, Done when they may go, Broke when not.

    Whoever wants it again in the same operation, for other servers, may have it.
    """
    async with ctx.deps.engine.connect() as conn:
        everyone = await stacks.nodes_of(conn, ctx.bay.id)
    nodes = [node for node in everyone if node.server_id in servers]
    if not nodes:
        return Done()
    if (why := ctx.deps.access.unreachable(ctx.bay)) is not None:
        return Done(note=f"Not drained: {why}")
    await ctx.guard()
    async with ctx.deps.engine.begin() as conn:
        elapsed = await drained.begin(conn, ctx.bay.id, ctx.operation.id, nodes)
        if elapsed is None:
            await conn.rollback()
            return Wait(PASS_SECONDS * ctx.deps.settings.time_scale, note=_SWEPT, memo=going_on(ctx))
        time = await hours(conn, ctx, elapsed, terms.seconds)
    failpoint.hit("scaler:drain_noted")
    if terms.seconds == 0:
        return Done(note=f"Not drained: label {DRAIN_TIMEOUT} is 0.")
    reached = ctx.operation.memo.get(REACHED) is True
    try:
        async with ctx.deps.turn(ctx.bay) as coe:
            look = await coe.look()
            reached = True
            done = await _go_through(ctx, coe, look, nodes, everyone, terms, time)
            return await _judge(ctx, coe, nodes, terms, time, done)
    except CloudError as error:
        if ours(error):
            raise
        return _failed(ctx, nodes, terms, time, error) if reached else _never_reached(ctx, nodes, terms, error)


async def _go_through(
    ctx: StepContext[Deps],
    coe: Coe,
    look: Look,
    nodes: Sequence[Node],
    everyone: Sequence[Node],
    terms: Terms,
    time: Hours,
) -> Pass:
    """Close them all, and ask those that work to send away what runs on them; of Kubernetes the others too."""
    found = {node.server_id: one for node in nodes if (one := look.find(node)) is not None}
    await ctx.guard()
    await coe.close_nodes(list(found.values()), mark_of(ctx.bay))
    failpoint.hit("scaler:nodes_closed")
    force, asks_dead = time.over and terms.force, ctx.bay.spec.get("coe") == "kubernetes"
    ready = [one for one in found.values() if one.ready]
    rest = [one for one in found.values() if not one.ready] if asks_dead else []
    left = await coe.drain(ready, force=force) if ready else []
    stuck = await coe.drain(rest, force=force) if rest else []
    empty = {one.id for one in rest} if not stuck else set()
    ill = [node for node in unready(look, nodes) if (one := found.get(node.server_id)) is None or one.id not in empty]
    return _believed(ctx, terms, time, Pass(look, found, left, stuck, ill, [], mostly_unready(look, everyone), {}))


def _believed(ctx: StepContext[Deps], terms: Terms, time: Hours, done: Pass) -> Pass:
    """Which of the doubted are lost: those that were not ready for long; of most of a bay, once the time is over."""
    scale = ctx.deps.settings.time_scale
    remembered = noted(ctx.operation.memo, [node.server_id for node in done.doubted], time.elapsed, scale)
    memo = {UNREADY: remembered, **going_on(ctx)}
    believed = set(remembered) if terms.known_ill else held(remembered, HOLD_SECONDS * scale)
    if done.mostly and not terms.known_ill and (terms.strict or not time.over):
        believed = set()
    return replace(
        done,
        doubted=[node for node in done.doubted if node.server_id not in believed],
        lost=[node for node in done.doubted if node.server_id in believed],
        memo=memo,
    )


async def _judge(
    ctx: StepContext[Deps], coe: Coe, nodes: Sequence[Node], terms: Terms, time: Hours, done: Pass
) -> Outcome:
    memo = {REACHED: True, **done.memo}
    if not done.left and not done.doubted:
        return Done(note=_drained(nodes, done), memo={**memo, _TRIES: 0})
    told = _left(ctx.bay, done) + (f".{cut}" if (cut := time.cut()) else "")
    if not time.over or _may_be_believed(ctx, terms, time, done):
        return Wait(_pause(ctx, time), note=told, memo=memo)
    if not terms.force:
        return await _give_up(ctx, coe, nodes, done, f"{time.after()} {told.removesuffix('.')}.")
    by_force = time.elapsed < time.limit + FORCE_SECONDS * ctx.deps.settings.time_scale
    if by_force and (done.left or done.stuck):
        return Wait(_pause(ctx, time), note=f"By force: {told}", memo=memo)
    return Done(note=f"The nodes go by force. {told}", memo={**memo, _TRIES: 0})


def _may_be_believed(ctx: StepContext[Deps], terms: Terms, time: Hours, done: Pass) -> bool:
    """Whether all that stands in the way is that nodes are not ready, and the time was too short to believe it."""
    short = time.elapsed < min(_DOUBTS_END * HOLD_SECONDS * ctx.deps.settings.time_scale, time.latest)
    return short and not terms.force and not done.left


async def _give_up(ctx: StepContext[Deps], coe: Coe, nodes: Sequence[Node], done: Pass, why: str) -> Broke:
    """Open the nodes again, now if that can be and else by the sweep, and tell what stood in the way."""
    try:
        await coe.open_nodes(list(done.nodes.values()), mark_of(ctx.bay))
        failpoint.hit("scaler:given_up")
    except CloudError:
        return Broke(f"{why} {_KEPT}", faults=_faults(done))
    servers = [node.server_id for node in nodes]
    forget = partial(drained.end, bay_id=ctx.bay.id, operation_id=ctx.operation.id, servers=servers)
    return Broke(f"{why} {_KEPT}", faults=_faults(done), apply=forget)


_SWEPT: Final = "What an earlier operation left closed is just being opened again."

_KEPT: Final = (
    f"The nodes stay and take work again. Make room for the work, or set label {DRAIN_ON_TIMEOUT} to force in bays "
    "whose nodes are to go all the same."
)


def mark_of(bay: Bay) -> str:
    """What is left on nodes that we closed: the same for all operations of a bay, so that each of them, and the sweep,
    can undo what another has left behind."""
    return str(bay.id)


def _failed(ctx: StepContext[Deps], nodes: Sequence[Node], terms: Terms, time: Hours, error: CloudError) -> Outcome:
    """The API answered this operation, and now does not or says no: that may be over soon."""
    if not time.over:
        memo = {REACHED: True, UNREADY: {}, **going_on(ctx)}  # who was not ready before may be well by now
        return Wait(_pause(ctx, time), note=f"{error.message} Trying again.{time.cut()}", memo=memo)
    if terms.force:
        return Done(note=f"Not drained, and the nodes go by force. {error.message}{time.cut()}", memo={_TRIES: 0})
    return Broke(f"{time.after()} {_names(nodes)} could not be drained. {error.message}{time.cut()} {_KEPT}")


def _never_reached(ctx: StepContext[Deps], nodes: Sequence[Node], terms: Terms, error: CloudError) -> Outcome:
    """The API has not answered this operation yet (docs/decisions/0017)."""
    tries = number_in(ctx, _TRIES) + 1
    if error.retryable and tries < TRIES:
        note = f"{error.message} Trying again to reach the bay."
        return Wait(TRY_SECONDS * ctx.deps.settings.time_scale, note=note, memo={_TRIES: tries, **going_on(ctx)})
    if terms.strict:
        return Broke(f"{_names(nodes)} could not be drained, and label {DRAIN_ON_TIMEOUT} is fail. {error.message}")
    return Done(note=f"Not drained: {error.message}", memo={_TRIES: 0})


def _pause(ctx: StepContext[Deps], time: Hours) -> float:
    """Seconds to the next pass; the last one comes when the time is up."""
    usual = PASS_SECONDS * ctx.deps.settings.time_scale
    rest = time.limit - time.elapsed
    return min(usual, rest) if rest > 0 else usual


def _left(bay: Bay, done: Pass) -> str:
    """What is left where, for people: "3 pods left on node-4: shop/web-2 (budget shop/web allows no disruption)"."""
    parts = []
    for name, left in _by_node(done).items():
        more = [f"and {len(left) - _SHOWN} more"] if len(left) > _SHOWN else []
        works_told = ", ".join([*(one.told() for one in left[:_SHOWN]), *more])
        parts.append(f"{works(len(left), bay)} left{name and ' on '}{name}: {works_told}")
    rest = [f"and {len(parts) - _SHOWN} more nodes"] if len(parts) > _SHOWN else []
    most = ["most of the bay's nodes are not ready"] if done.mostly and done.doubted else []
    return "; ".join([*parts[:_SHOWN], *rest, *_doubts(done)[:_SHOWN], *most])


def _doubts(done: Pass) -> list[str]:
    return [f"{node.name} is {_state(done, node)}" for node in done.doubted]


def _state(done: Pass, node: Node) -> str:
    seen = done.nodes.get(node.server_id)
    return "unknown to the bay" if seen is None else f"not ready ({seen.problem})" if seen.problem else "not ready"


def _by_node(done: Pass) -> dict[str, list[Blocker]]:
    """What is left by the name of its node; those that somebody keeps come first. Under "" what came since the look."""
    names = {one.id: one.name for one in done.nodes.values()}
    places = {work.name: names[work.node] for work in done.look.works if work.node in names}
    found: dict[str, list[Blocker]] = {}
    stuck = done.stuck if done.doubted else ()  # nobody waits for what is on nodes that are lost
    for one in sorted([*done.left, *stuck], key=lambda left: not left.reason):
        found.setdefault(places.get(one.work, ""), []).append(one)
    return found


def _faults(done: Pass) -> dict[str, str]:
    kept = {name or "work": ", ".join(one.told() for one in left[:_SHOWN]) for name, left in _by_node(done).items()}
    return {**{node.name: _state(done, node) for node in done.doubted}, **kept}


def _names(nodes: Sequence[Node]) -> str:
    more = [f"and {len(nodes) - _SHOWN} more"] if len(nodes) > _SHOWN else []
    return ", ".join([*(node.name for node in nodes[:_SHOWN]), *more])


def _drained(nodes: Sequence[Node], done: Pass) -> str:
    lost = f" Not waited for any longer: {_names(done.lost)}, not ready." if done.lost else ""
    return f"Drained: {_names(nodes)}.{lost}"
