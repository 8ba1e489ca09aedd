"""What a look into a bay says of one nodegroup's load. Pure.

What the group's nodes are asked for is counted on them alone; whether work fits somewhere is tried on every node of the
bay that takes work, since the engine may put it on any. Nodes that are coming count as empty ones. What a drain would
not move keeps its node.

An engine may say what it likes, and fitting takes time by the product of nodes and kinds of work: more than a bay can
have is not believed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.coe.port import CoeNode, Look, Resources, Work
from shared.domain.autoscaling import Load, made_up
from shared.domain.bay import Node
from shared.domain.packing import Amount, nodes_for, place
from shared.domain.scaling import UNKNOWN, Busy, idlest

MOST_NEW: Final = 100
"""So many new nodes are reckoned with at a time; the step limit is lower."""
MOST_LEAVING: Final = 100
"""So many nodes are reckoned with that leave at a time; the step limit is lower."""
MOST_KINDS: Final = 2_000
"""Different requests for resources in one bay."""
_STRANGERS: Final = 200
"""Nodes beyond twice those that we know: those on their way in or out, and what others have joined to the bay."""
_MOST_TRIES: Final = 2_000_000
"""Pieces of work times nodes: some seconds."""
_LARGE: Final = 500
_LONGEST_NAME: Final = 80


def is_large(look: Look) -> bool:
    """Whether `load_of` may take long enough for others to feel it."""
    return len(look.nodes) + len(look.works) > _LARGE


def load_of(
    look: Look,
    ours: Sequence[Node],
    *,
    count: int,
    young: bool,
    known: int = 0,
    size: Amount | None = None,
    word: str = "pods",
) -> Load | None:
    """The load of the group with these `ours`, which is to have `count` nodes.

    `young`: nodes that are missing are coming; else some of them are made up for (`autoscaling.made_up`). `known`: as
    many nodes of whatever group are in the bay by our own rows. `size` is what a node of the group offered when one was
    last seen, for a group that has none. None: what the engine says cannot be true, or is more than a bay can have.
    """
    if not _sound(look, max(known, count, len(ours))):
        return None
    group = _group(look, ours)
    view = _View(look, [one for one in group.values() if one.ready and one.open])
    size = view.size or size
    absent = max(0, count - sum(one.ready for one in group.values()))
    coming = absent if young else absent - made_up(count, absent)
    load = view.asked_of_group(coming, size)
    free = {**view.free, **({f"\0coming {number}": size for number in range(coming)} if size else {})}
    waiting = _Waiting(look.works, list(free.values()), size, coming, first=not view.group)
    idle, spare = view.leaving(ours, group, free, waiting.beside)
    return Load(
        ready=len(view.group),
        nodes=len(view.group) + (coming if size else 0),
        cpu=load.cpu,
        memory=load.memory,
        idle=idle,
        spare=spare,
        more=waiting.more,
        waiting=waiting.roomless,
        stuck=waiting.stuck,
        too_large=waiting.too_large,
        size=size,
        word=word,
        missing=0 if young else absent,
    )


def _sound(look: Look, known: int) -> bool:
    if len(look.nodes) > 2 * known + _STRANGERS:
        return False
    kinds = len({one.asks for one in look.works})
    if kinds > MOST_KINDS or kinds * len(look.nodes) > _MOST_TRIES:
        return False
    return all(_amount(one.capacity).sound for one in look.nodes) and all(_amount(one.asks).sound for one in look.works)


def _amount(resources: Resources) -> Amount:
    return Amount(resources.cpu, resources.memory)


def _group(look: Look, ours: Sequence[Node]) -> dict[str, CoeNode]:
    """The engine's view of our servers, by server id; as `Look.find`, at once for all."""
    names = {one.name: one for one in look.nodes}
    addresses = {address: one for one in look.nodes for address in one.addresses if address}
    found = {}
    for node in ours:
        by_name = names.get(node.name.lower()) or names.get(node.name)
        seen = by_name or addresses.get(node.private_address) or addresses.get(node.address)
        if seen is not None:
            found[node.server_id] = seen
    return found


class _View:
    """Nodes and what runs on each."""

    def __init__(self, look: Look, group: Sequence[CoeNode]) -> None:
        self.group = group
        self._held: Counter[str] = Counter()
        self._moving: dict[str, Counter[Amount]] = defaultdict(Counter)
        self._asked: dict[str, Amount] = defaultdict(Amount)
        staying: dict[str, Amount] = defaultdict(Amount)
        for work in look.works:
            if work.node is None:
                continue
            asks = _amount(work.asks)
            self._asked[work.node] = self._asked[work.node].plus(asks)
            if work.stays:
                staying[work.node] = staying[work.node].plus(asks)
            else:
                self._moving[work.node][asks] += 1
                if work.held:
                    self._held[work.node] += 1
        takers = {one.id: one for one in look.nodes if one.ready and one.open and not one.manager}
        takers |= {one.id: one for one in group}
        self.free = {name: _amount(one.capacity).plus(self._asked[name], -1) for name, one in takers.items()}
        sizes = [(_amount(one.capacity), staying[one.id]) for one in group]
        whole = [capacity for capacity, _ in sizes if capacity.cpu > 0 or capacity.memory > 0]
        self._whole = max(whole, default=None)
        # What goes with every node is on the new one too before anything else is.
        self.size = max((capacity.plus(stays, -1) for capacity, stays in sizes if capacity in whole), default=None)

    def asked_of_group(self, coming: int, size: Amount | None) -> Amount:
        """What is asked for on the group's nodes, as shares of what these and those that come have."""
        asked, have = Amount(), Amount()
        for node in self.group:
            asked, have = asked.plus(self._asked[node.id]), have.plus(_amount(node.capacity))
        have = have.plus(self._whole or size or Amount(), coming)
        return Amount(asked.cpu / have.cpu if have.cpu else 0.0, asked.memory / have.memory if have.memory else 0.0)

    def leaving(
        self,
        ours: Sequence[Node],
        seen: Mapping[str, CoeNode],
        free: Mapping[str, Amount],
        beside: Mapping[Amount, int],
    ) -> tuple[int, int]:
        """How many of the nodes that leave first have nothing to move, and of how many the work fits elsewhere, so that
        what waits `beside` room still finds it.

        The order is that in which a resize takes them (`scaling.idlest`); at one that a drain would fail at, it ends.
        """
        busy = {
            server: Busy(node.ready, node.open, sum(self._moving[node.id].values()), self._held[node.id])
            for server, node in seen.items()
        }
        left, idle, spare, tries = dict(free), 0, 0, 0
        for server in idlest(ours, busy)[:MOST_LEAVING]:
            node = seen.get(server)
            if node is not None and self._held[node.id]:
                break
            moving = self._moving[node.id] if node else Counter[Amount]()
            if node is not None:
                left.pop(node.id, None)
            tries += len(left) * (1 + len(moving) + len(beside))
            rooms = list(left.values())
            if tries > _MOST_TRIES or place(rooms, moving) or place(list(rooms), beside):
                break
            left = dict(zip(left, rooms, strict=True))
            spare += 1
            idle += idle == spare - 1 and not busy.get(server, UNKNOWN).works
        return idle, spare


@dataclass(init=False)
class _Waiting:
    """The work that waits, by what would help it."""

    more: int
    roomless: tuple[str, ...]
    stuck: tuple[str, ...]
    too_large: tuple[str, ...]
    beside: Mapping[Amount, int]
    """What the stuck work asks for."""

    def __init__(
        self, works: Sequence[Work], free: list[Amount], size: Amount | None, coming: int, *, first: bool
    ) -> None:
        waiting = [(work, _amount(work.asks)) for work in works if work.node is None and work.waiting]
        if size is None:
            # Nobody has seen a node of the group: one shows how large they are.
            self.more = 1 if waiting and first and not coming else 0
            self.roomless = _told(waiting) if self.more else ()
            self.stuck = self.too_large = ()
            self.beside = {}
            return
        asks = Counter(ask for _, ask in waiting)
        left = place(free, asks)
        fitting = {ask: number for ask, number in left.items() if size.holds(ask) >= 1}
        self.more = nodes_for(size, fitting, most=MOST_NEW)
        self.roomless = _told(waiting, fitting)
        self.too_large = _told(waiting, {ask: number for ask, number in left.items() if ask not in fitting})
        # Those that are still on their way would have to come first.
        self.beside = {} if coming else asks - left
        self.stuck = _told(waiting, self.beside)


def _told(waiting: Sequence[tuple[Work, Amount]], which: Mapping[Amount, int] | None = None) -> tuple[str, ...]:
    """Work for people; of equal pieces as many as `which` says."""
    left = Counter(ask for _, ask in waiting) if which is None else Counter(which)
    found = []
    for work, ask in waiting:
        if left[ask] > 0:
            left[ask] -= 1
            asks = ask.told()
            found.append(f"{work.name[:_LONGEST_NAME]}: {asks}" if asks else work.name[:_LONGEST_NAME])
    return tuple(found)
