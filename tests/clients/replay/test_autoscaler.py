"""The cluster autoscaler's magnum provider: node groups and resizes at the latest microversion, then Heat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.replay.decoders import NodeGroup
from tests.clients.replay.gopher import Gopher
from tests.clients.replay.heat import Heat
from tests.clients.support.cloud import Cloud


@pytest.fixture(scope="module")
def autoscaler(cloud: Cloud) -> Gopher:
    """The provider's client."""
    return Gopher(cloud, "latest")


@pytest.fixture(scope="module")
def cluster(autoscaler: Gopher) -> Iterator[str]:
    """A cluster whose workers may be one to five; a group without an upper limit is not looked at."""
    cloud = autoscaler.cloud
    uuid = cloud.bay("autoscaled", cloud.template("autoscaled"))
    limits = [
        {"op": "replace", "path": f"/{name}_node_count", "value": value} for name, value in (("max", 5), ("min", 1))
    ]
    path = f"/clusters/{uuid}/nodegroups/default-worker"
    autoscaler.ask(NodeGroup, "PATCH", path, limits, ok=(202,))
    yield uuid
    cloud.remove(uuid)


def test_it_discovers_one_group(autoscaler: Gopher, cluster: str) -> None:
    group = _workers(autoscaler, cluster)
    assert (group.name, group.role, group.is_default) == ("default-worker", "worker", True)
    assert (group.min_node_count, group.max_node_count) == (1, 5)


def test_it_finds_the_servers_of_the_group(autoscaler: Gopher, cluster: str) -> None:
    """Through the names that Magnum's templates use."""
    heat, group = Heat(autoscaler.cloud), _workers(autoscaler, cluster)
    assert heat.workers_as_the_autoscaler_finds_them(group.stack_id) == heat.workers(group.stack_id) != {}


def test_it_grows_and_removes_the_node_that_it_names(autoscaler: Gopher, cluster: str) -> None:
    """By the group's uuid; the nodes by their Nova ids, which it reads from the stack."""
    heat, group = Heat(autoscaler.cloud), _workers(autoscaler, cluster)
    before = heat.workers(group.stack_id)
    autoscaler.resize(cluster, node_count=3, nodegroup=group.uuid)
    autoscaler.wait(cluster, "UPDATE_COMPLETE")
    grown = heat.workers(group.stack_id)
    assert len(grown) == autoscaler.group(cluster, group.uuid).node_count == 3
    assert before.items() <= grown.items()

    leaving = sorted(grown)[1]
    autoscaler.resize(cluster, node_count=2, nodegroup=group.uuid, nodes_to_remove=[grown[leaving]])
    autoscaler.wait(cluster, "UPDATE_COMPLETE")
    left = {index: server for index, server in grown.items() if index != leaving}
    assert heat.workers(group.stack_id) == left
    assert autoscaler.group(cluster, group.uuid).node_count == 2


def test_it_may_push_again_while_an_update_goes_on(autoscaler: Gopher, cluster: str) -> None:
    """It does not wait: the last wish is what remains."""
    group = _workers(autoscaler, cluster)
    for count in (3, 4, 1):
        autoscaler.resize(cluster, node_count=count, nodegroup=group.uuid)
    autoscaler.wait(cluster, "UPDATE_COMPLETE")
    assert autoscaler.group(cluster, group.uuid).node_count == 1
    assert len(Heat(autoscaler.cloud).workers(group.stack_id)) == 1


def test_it_is_held_to_the_limits(autoscaler: Gopher, cluster: str) -> None:
    group = _workers(autoscaler, cluster)
    for count in (0, 6):
        body = {"node_count": count, "nodegroup": group.uuid}
        answer = autoscaler.send("POST", f"/clusters/{cluster}/actions/resize", body)
        assert answer.status_code == 400
        assert "outside the allowed range" in answer.json()["errors"][0]["detail"]


def _workers(client: Gopher, cluster: str) -> NodeGroup:
    """As its auto-discovery does: masters are passed over, limits are read from each group's own page."""
    groups = [client.group(cluster, group.uuid) for group in client.groups(cluster) if group.role != "master"]
    (only,) = (group for group in groups if group.max_node_count is not None)
    return only
