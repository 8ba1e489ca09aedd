"""What an upgrade is refused for, in words that say why (contract §1.10.8), and what is accepted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.harness import System, detail
from tests.api.made import cluster, put, request_of, shown, template, workers

UNFIT = "Cluster Template is not valid for upgrade: "
ALONE = {"nodegroup": "default-worker"}


def ask(system: System, uuid: str, body: dict[str, Any], *, dry: bool = False, user: str = "demo") -> httpx.Response:
    path = f"/v1/clusters/{uuid}/actions/upgrade{'?dry_run=1' if dry else ''}"
    return system.call("POST", path, body, version="14", user=user)


async def standing(system: System, **fields: Any) -> str:
    uuid = cluster(system, **fields)
    await put(system, uuid, "CREATE_COMPLETE")
    return uuid


@pytest.mark.parametrize(
    ("fields", "more", "why"),
    [
        ({"tls_disabled": True}, {}, "its tls_disabled is True, the cluster's is False"),
        ({"coe": "swarm"}, {}, "its coe is swarm, the cluster's is kubernetes"),
        ({"network_driver": "calico"}, {}, "its network_driver is calico"),
        ({"image_id": "coreos"}, ALONE, "it is for driver k8s_coreos"),
        ({"http_proxy": "http://proxy:3128"}, ALONE, "it differs from the cluster in http_proxy, which an upgrade"),
        ({"labels": {"fixed_subnet_cidr": "10.9.0.0/24"}}, ALONE, "it differs from the cluster in label fixed_subnet"),
        ({"labels": {"kube_tag": "v1.1.0"}}, ALONE, "it has Kubernetes v1.1.0 and the cluster has v1.2.0: there is no"),
        ({"labels": {"kube_tag": "v1.4.0"}}, ALONE, "it has Kubernetes v1.4.0 and the cluster has v1.2.0: go one"),
        ({"labels": {"kube_tag": "v1.3.0"}}, ALONE, "it has Kubernetes v1.3.0, the masters have v1.2.0"),
        ({"image_id": "fedora-23-atomic-7"}, {}, "it has another image_id for masters too, and masters cannot be"),
        ({"master_flavor_id": "m1.medium"}, {}, "it has another master_flavor_id for masters too"),
        ({}, {"nodegroup": "default-master"}, "masters cannot be upgraded yet; name nodegroup default-worker"),
    ],
)
async def test_templates_that_do_not_fit(
    system: System, fields: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    uuid = await standing(system)
    other = template(system, **fields)["uuid"]
    for dry in (False, True):
        answer = ask(system, uuid, {"cluster_template": other, **more}, dry=dry)
        assert answer.status_code == 409, answer.text
        assert detail(answer).startswith(UNFIT + why)
    assert shown(system, uuid)["status"] == "CREATE_COMPLETE"


async def test_what_is_not_there(system: System) -> None:
    uuid = await standing(system)
    assert ask(system, uuid, {"cluster_template": "zzz"}).status_code == 404
    own = {"cluster_template": template(system)["uuid"]}
    assert ask(system, uuid, {**own, "nodegroup": "nope"}).status_code == 404
    hidden = template(system, user="alt")["uuid"]
    assert ask(system, uuid, {"cluster_template": hidden}).status_code == 404, "somebody else's"
    assert ask(system, uuid, own, user="alt").status_code == 404


async def test_what_may_change_for_workers(system: System) -> None:
    uuid = await standing(system, node_count=3)
    names = await workers(system, uuid, 3)
    labels = {"kube_tag": "v1.2.4", "drain_timeout": "7", "some": "word"}
    other = template(system, image_id="fedora-23-atomic-7", flavor_id="m1.medium", docker_volume_size=9, labels=labels)
    body = {"cluster_template": other["name"], "max_batch_size": 2, **ALONE}
    told = ask(system, uuid, body, dry=True)
    assert told.status_code == 200, told.text
    found = told.json()
    assert {*found["changes"]} == {
        *("image_id", "flavor_id", "docker_volume_size", "labels/kube_tag", "labels/drain_timeout")
    }
    assert found["version"] == {"label": "kube_tag", "from": "v1.2.0", "to": "v1.2.4", "verdict": "ok"}
    assert [len(batch) for batch in found["batches"]] == [2, len(names) - 2]
    assert shown(system, uuid)["status"] == "CREATE_COMPLETE"
    assert ask(system, uuid, body).status_code == 202
    assert shown(system, uuid)["status"] == "UPDATE_IN_PROGRESS"
    request = await request_of(system, uuid, "upgrade")
    assert (request["node_count"], request["nodegroup"], request["max_batch_size"]) == (3, "default-worker", 2)
    assert request["cluster_template"] == other["uuid"]
    assert request["spec"]["labels"] == labels
    again = ask(system, uuid, body)
    assert (again.status_code, detail(again)) == (409, "An upgrade of this cluster is under way already.")


async def test_what_the_owner_chose_stays(system: System) -> None:
    """A cluster's own flavor and labels are not the template's to change."""
    uuid = await standing(system, flavor_id="m1.medium", labels={"drain_timeout": "5"}, merge_labels=True)
    other = template(system, labels={"drain_timeout": "9", "new": "one"})
    assert ask(system, uuid, {"cluster_template": other["uuid"]}).status_code == 202
    request = await request_of(system, uuid, "upgrade")
    assert request["spec"]["flavor_id"] == "m1.medium"
    assert request["spec"]["labels"] == {"drain_timeout": "5", "new": "one"}
    assert request["labels"]["labels_overridden"] == {"drain_timeout": "9"}


async def test_after_a_failed_change_only_an_upgrade_goes_on(system: System) -> None:
    uuid = await standing(system)
    body = {"cluster_template": template(system)["uuid"], **ALONE}
    await put(system, uuid, "UPDATE_FAILED")
    answer = ask(system, uuid, body)
    assert answer.status_code == 400
    assert detail(answer) == 'Upgrading a cluster when status is "UPDATE_FAILED" is not supported.'
    await put(system, uuid, "UPDATE_COMPLETE")
    assert ask(system, uuid, body).status_code == 202
    await put(system, uuid, "UPDATE_FAILED")
    await system.sql("UPDATE operations SET state = 'failed' WHERE bay_id = $1::uuid AND kind = 'upgrade'", uuid)
    assert ask(system, uuid, body).status_code == 202


async def test_nodes_that_a_failed_try_has_made_stay_while_their_pool_is_the_newest(system: System) -> None:
    uuid = await standing(system, node_count=3)
    body = {"cluster_template": template(system)["uuid"], "max_batch_size": 3, **ALONE}
    assert ask(system, uuid, body).status_code == 202
    await put(system, uuid, "UPDATE_FAILED")
    await workers(system, uuid, 3)
    failed = "UPDATE operations SET state = 'failed', memo = '{\"pool\": 1}' WHERE bay_id = $1 AND kind = 'upgrade'"
    await system.sql(failed, uuid)
    await system.sql("UPDATE nodes SET pool = 1 WHERE bay_id = $1 AND position = 0", uuid)
    for number, rest in ((1, ["minion-1", "minion-2"]), (2, ["minion-1", "minion-2", "minion-0"])):
        await system.sql(
            "INSERT INTO node_pools (bay_id, number, nodegroup_id, generation) "
            "SELECT bay_id, $2, id, 1 FROM nodegroups WHERE bay_id = $1 AND name = 'default-worker'",
            uuid,
            number,
        )
        told = ask(system, uuid, body, dry=True)
        assert told.status_code == 200, told.text
        assert told.json()["batches"] == [rest]


async def test_a_batch_has_to_fit(system: System) -> None:
    uuid = await standing(system, node_count=3)
    project = shown(system, uuid)["project_id"]
    place = f"{system.cloud_url}/compute/v2.1/os-quota-sets/{project}"
    headers = {"X-Auth-Token": system.token("admin")}
    httpx.put(place, json={"quota_set": {"instances": 1}}, headers=headers).raise_for_status()
    try:
        body = {"cluster_template": template(system)["uuid"], **ALONE}
        answer = ask(system, uuid, {**body, "max_batch_size": 2})
        assert answer.status_code == 403
        assert "2 servers needed, 1 left" in detail(answer)
        assert ask(system, uuid, {**body, "max_batch_size": 1}).status_code == 202
    finally:
        httpx.delete(place, headers=headers).raise_for_status()


async def test_a_cluster_of_an_earlier_release_is_told_so_at_the_door(system: System) -> None:
    """Its stack was rendered without what further stacks are made of."""
    uuid = await standing(system)
    body = {"cluster_template": template(system)["uuid"], **ALONE}
    await system.sql(
        "INSERT INTO stack_renders (bay_id, generation, driver, template, files) "
        "SELECT id, generation, driver, 't', '{}' FROM bays WHERE id = $1",
        uuid,
    )
    for dry in (True, False):
        answer = ask(system, uuid, body, dry=dry)
        assert (answer.status_code, detail(answer).partition(",")[0]) == (
            409,
            "This cluster was made by an earlier release",
        )
    await system.sql('UPDATE stack_renders SET files = \'{"shard.yaml": "s"}\' WHERE bay_id = $1', uuid)
    assert ask(system, uuid, body).status_code == 202
