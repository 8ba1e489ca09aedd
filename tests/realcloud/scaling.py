"""A bay that is scaled in every way on a real cloud: a further nodegroup, an upgrade, other numbers of masters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from typing_extensions import override

from shared.contracts.http.bays import OperationOut
from tests.realcloud.agents import Cluster, inside
from tests.realcloud.cells import Cell
from tests.realcloud.life import Bay
from tests.realheat.ground import flavors, until_as_before

GROUP, NEWER, APP = "more", "newer", "web"


@dataclass(frozen=True)
class Scalable(Cell):
    """A bay whose masters may be several, with volumes; nobody heals it meanwhile."""

    @override
    def options(self) -> str:
        return f"{super().options()} --master-lb-enabled --labels auto_healing_enabled=false,etcd_volume_size=1"


@dataclass(frozen=True)
class Seen:
    """What stood at one moment, by Nova's ids."""

    masters: frozenset[str]
    workers: frozenset[str]
    names: frozenset[str]
    """The workers'."""
    shown: tuple[int, int]
    """Masters and nodes, as the bay says of itself."""
    serving: tuple[str, ...]
    """Names of the nodes on which the application runs, once for each pod."""


@dataclass
class Scaled:
    """What was seen, in the order in which it happened."""

    before: Counter[str]
    after: Counter[str] = field(default_factory=Counter)
    seen: dict[str, Seen] = field(default_factory=dict)
    flavors: tuple[str, str] = ("", "")
    """What the workers were before the upgrade, and are to be after it."""
    made_of: dict[str, set[str]] = field(default_factory=dict)
    """The workers' flavors before and after."""
    operations: list[OperationOut] = field(default_factory=list)


async def scale(bay: Bay) -> Scaled:
    """Two nodes; one more group, which grows and goes; both nodes upgraded, one by one; masters 1, 3, 1."""
    scaled = Scaled(await bay.ground.counts())
    other = next(one for one in await flavors(bay.ground.cloud) if one.id != bay.ground.flavor)
    scaled.flavors = bay.ground.flavor, other.id
    await bay.template()
    await bay.another_template(NEWER, other.id)
    await bay.create(nodes=2)
    async with inside(bay) as cluster:
        cluster.engine.add_deployment(APP, replicas=2)
        await _see(scaled, cluster, "born")
        for phase, command in _changes(bay.name):
            await bay.shell.openstack(f"coe {command}")
            await bay.rests("UPDATE_COMPLETE", phase)
            await _see(scaled, cluster, phase)
        scaled.operations = await bay.client.operations(bay.uuid)
    await bay.delete()
    await bay.shell.openstack(f"coe cluster template delete {NEWER}")
    scaled.after = await until_as_before(bay.ground, scaled.before)
    return scaled


def _changes(bay: str) -> list[tuple[str, str]]:
    return [
        ("group made", f"nodegroup create {bay} {GROUP} --node-count 1"),
        ("group grown", f"cluster resize {bay} --nodegroup {GROUP} 2"),
        ("group gone", f"nodegroup delete {bay} {GROUP}"),
        ("upgraded", f"cluster upgrade {bay} {NEWER}"),
        ("three masters", f"cluster resize {bay} --nodegroup default-master 3"),
        ("one master", f"cluster resize {bay} --nodegroup default-master 1"),
    ]


async def _see(scaled: Scaled, cluster: Cluster, phase: str) -> None:
    bay = cluster.bay
    await cluster.look()
    servers = await bay.ground.cloud.nova.servers(metadata={"jeroboam_bay": bay.uuid})
    workers = [one for one in servers if one.metadata["jeroboam_role"] == "worker"]
    shown = await bay.client.bay(bay.uuid)
    scaled.seen[phase] = Seen(
        masters=frozenset(one.id for one in servers if one not in workers),
        workers=frozenset(one.id for one in workers),
        names=frozenset(one.name for one in workers),
        shown=(shown.master_count, shown.node_count),
        serving=tuple(cluster.serving(APP)),
    )
    scaled.made_of[phase] = {await _flavor(bay, one.id) for one in workers}


async def _flavor(bay: Bay, server: str) -> str:
    found = await bay.ground.cloud.session.get("compute", f"/servers/{server}")
    assert found is not None
    return found.doc("server").doc("flavor").text("id")
