"""One row under two names: a bay lives on as a cluster; and who races for the same thing gets one clear answer each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.pki_client import new_key_and_csr, verify_chain
from tests.support.jobs import BAYMODEL, reason, settled
from tests.support.wire import Wire, detail, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=40, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(stack: LocalStack) -> AsyncIterator[dict[str, Wire]]:
    names = ("demo", "alt", "admin")
    async with wires(stack, *names) as found:
        yield dict(zip(names, found, strict=True))


async def test_a_bay_lives_and_goes_as_a_cluster(people: dict[str, Wire]) -> None:
    demo = people["demo"]
    model = await demo("POST", "/v1/baymodels", BAYMODEL, version=1)
    assert model.status_code == 201, model.text
    body = {"name": "both", "baymodel_id": model.json()["uuid"], "node_count": 1}
    made = await demo("POST", "/v1/bays", body, version=None)
    assert made.status_code == 201, made.text
    uuid = made.json()["uuid"]
    assert (await demo.get(f"/v1/clusters/{uuid}"))["status"] == "CREATE_IN_PROGRESS"
    assert await settled(demo.client, uuid) == "CREATE_COMPLETE", await reason(demo.client, uuid)
    await _the_same_under_both_names(demo, uuid)
    await _certificates_by_both_names(demo, uuid)

    resize = f"/v1/clusters/{uuid}/actions/resize"
    assert (await demo("POST", resize, {"node_count": 2}, version=6)).status_code == 406
    accepted = await demo("POST", resize, {"node_count": 2}, version=7)
    assert (accepted.status_code, accepted.json()) == (202, {"uuid": uuid})
    for path in ("bays", "clusters"):
        assert (await demo.get(f"/v1/{path}/{uuid}"))["status"] == "UPDATE_IN_PROGRESS"
    assert await settled(demo.client, uuid) == "UPDATE_COMPLETE", await reason(demo.client, uuid)
    bay, cluster = [await demo.get(f"/v1/{path}/{uuid}", version=2) for path in ("bays", "clusters")]
    assert (bay["node_count"], cluster["node_count"], len(bay["node_addresses"])) == (2, 2, 2)
    assert bay["node_addresses"] == cluster["node_addresses"]

    gone = await demo("DELETE", f"/v1/clusters/{uuid}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await demo.get(f"/v1/bays/{uuid}"))["status"] == "DELETE_IN_PROGRESS"
    assert await settled(demo.client, uuid) == ""
    for path, word in (("bays", "Bay"), ("clusters", "Cluster")):
        missing = await demo("GET", f"/v1/{path}/{uuid}")
        assert (missing.status_code, detail(missing)) == (404, f"{word} {uuid} could not be found.")


async def _the_same_under_both_names(demo: Wire, uuid: str) -> None:
    """Lists and shows of both names; what is called otherwise in one of them is the same thing."""
    for below in ("", "/detail"):
        bays = (await demo.get(f"/v1/bays{below}", version=12))["bays"]
        clusters = (await demo.get(f"/v1/clusters{below}", version=12))["clusters"]
        assert [one["uuid"] for one in bays] == [one["uuid"] for one in clusters]
        for bay, cluster in zip(map(_words_of_clusters, bays), clusters, strict=True):
            both = bay.keys() & cluster.keys()
            assert bay.keys() - both <= {"floating_ip_enabled"}  # a short cluster does not have it
            assert {key: bay[key] for key in both} == {key: cluster[key] for key in both}
    old, new = await demo.get(f"/v1/clusters/{uuid}", version=12), await demo.get(f"/v1/clusters/{uuid}", version=13)
    assert old["stack_id"] == (await demo.get(f"/v1/bays/{uuid}", version=1))["stack_id"] is not None
    assert old["stack_id"] == new["cluster_id"]
    assert ("cluster_id" in old, "stack_id" in new) == (False, False)
    assert {**old, "cluster_id": old["stack_id"]}.keys() - {"stack_id"} == new.keys()


_CALLED_OTHERWISE = {"baymodel_id": "cluster_template_id", "bay_create_timeout": "create_timeout"}


def _words_of_clusters(bay: dict[str, Any]) -> dict[str, Any]:
    """A bay as a cluster calls it, but for its links."""
    return {_CALLED_OTHERWISE.get(key, key): value for key, value in bay.items() if key != "links"}


async def _certificates_by_both_names(demo: Wire, uuid: str) -> None:
    authority = await demo.get(f"/v1/certificates/{uuid}")
    assert authority == await demo.get("/v1/certificates/both")
    assert (authority["bay_uuid"], authority["cluster_uuid"]) == (uuid, uuid)
    for field, ident in (("bay_uuid", "both"), ("bay_uuid", uuid), ("cluster_uuid", "both"), ("cluster_uuid", uuid)):
        csr = new_key_and_csr("admin", "system:masters").csr_pem
        signed = await demo("POST", "/v1/certificates", {field: ident, "csr": csr})
        assert signed.status_code == 201, signed.text
        assert (signed.json()["bay_uuid"], signed.json()["cluster_uuid"]) == (uuid, uuid)
        verify_chain(signed.json()["pem"], authority["pem"])


async def test_of_two_who_want_the_last_place_one_gets_it(people: dict[str, Wire]) -> None:
    alt, admin = people["alt"], people["admin"]
    model, project = await alt.template(), await alt.project()
    quota = {"project_id": project, "resource": "Cluster", "hard_limit": 1}
    assert (await admin("POST", "/v1/quotas", quota)).status_code == 201
    try:
        first = await _both(
            *(
                alt("POST", f"/v1/{path}", {"name": f"last-{path}", field: model}, version=4)
                for path, field in (("bays", "baymodel_id"), ("clusters", "cluster_template_id"))
            )
        )
        assert _statuses(first) == [202, 403]
        assert detail(_refused(first)) == (
            "Resource limit exceeded: You have reached the maximum clusters per project, 1. "
            "You may delete a cluster to make room for a new one."
        )
        (only,) = (await alt.get("/v1/clusters"))["clusters"]
        assert [one.json()["uuid"] for one in first if one.status_code == 202] == [only["uuid"]]
        assert (await admin("PATCH", f"/v1/quotas/{project}/Cluster", {"hard_limit": 2})).status_code == 202
        assert (await alt("POST", "/v1/clusters", {"name": "room", "cluster_template_id": model})).status_code == 202
    finally:
        assert (await admin("DELETE", f"/v1/quotas/{project}/Cluster")).status_code == 204


async def test_of_two_who_set_one_quota_one_does(people: dict[str, Wire]) -> None:
    admin = people["admin"]
    project = await people["demo"].project()
    for limit in range(1, ROUNDS):
        quota = {"project_id": project, "resource": "Cluster"}
        answers = await _both(*(admin("POST", "/v1/quotas", {**quota, "hard_limit": limit * 10 + n}) for n in (1, 2)))
        assert _statuses(answers) == [201, 409]
        assert detail(_refused(answers)) == f"Quota for project {project} already exists for resource Cluster."
        (won,) = [one.json()["hard_limit"] for one in answers if one.status_code == 201]
        assert (await people["demo"].get(f"/v1/quotas/{project}/Cluster"))["hard_limit"] == won
        removed = await _both(*(admin("DELETE", f"/v1/quotas/{project}/Cluster") for _ in range(2)))
        assert _statuses(removed) == [204, 404]


async def test_a_template_goes_or_is_used_never_both(people: dict[str, Wire]) -> None:
    demo = people["demo"]
    for number in range(ROUNDS):
        model = await demo.template(name=f"race-{number}")
        body = {"name": f"race-{number}", "cluster_template_id": model}
        # The check of a bay takes a while, so some rounds let it begin first.
        made, gone = await _both(
            demo("POST", "/v1/clusters", body), _after(number * 0.02, demo("DELETE", f"/v1/clustertemplates/{model}"))
        )
        if made.status_code == 202:
            assert (gone.status_code, detail(gone)) == (
                400,
                f"ClusterTemplate {model} is referenced by one or multiple clusters.",
            )
            assert (await demo.get(f"/v1/clustertemplates/{model}"))["uuid"] == model
            assert (await demo("DELETE", f"/v1/clusters/{made.json()['uuid']}")).status_code == 204
        else:
            assert gone.status_code == 204
            assert (made.status_code, detail(made)) == (404, f"ClusterTemplate {model} could not be found.")
    for one in (await demo.get("/v1/clusters"))["clusters"]:
        assert not one["name"].startswith("race-") or await settled(demo.client, one["uuid"]) == ""


async def _after(seconds: float, call: Any) -> httpx.Response:
    await asyncio.sleep(seconds)
    answer: httpx.Response = await call
    return answer


async def _both(*calls: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*calls))


def _statuses(answers: list[httpx.Response]) -> list[int]:
    return sorted(one.status_code for one in answers)


def _refused(answers: list[httpx.Response]) -> httpx.Response:
    (found,) = [one for one in answers if one.is_error]
    return found
