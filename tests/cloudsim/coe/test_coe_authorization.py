"""Who may do what in a Kubernetes bay: as the manifest of our drivers says."""

from __future__ import annotations

from pathlib import Path

import httpx
import yaml

from cloudsim.coe.kubernetes.authorization import PATHS, RULES
from tests.support.coe import kubernetes_bay

_MANIFEST = Path("shared/drivers/k8s_ubuntu/manifests/scaler.yaml")


def test_the_scaler_may_what_its_cluster_role_says() -> None:
    role = next(one for one in yaml.safe_load_all(_MANIFEST.read_text()) if one["kind"] == "ClusterRole")
    rules, paths = set(), ()
    for rule in role["rules"]:
        if "nonResourceURLs" in rule:
            paths = tuple(rule["nonResourceURLs"])
        else:
            rules |= {(group, frozenset(rule["resources"]), frozenset(rule["verbs"])) for group in rule["apiGroups"]}
    assert rules == set(RULES)
    assert sorted(paths) == sorted(PATHS)


async def test_the_scaler_is_refused_everything_else(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=1) as bay:
        bay.engine.add_deployment("web", 1)
        (pod,) = (one["name"] for one in bay.engine.pods())
        context = bay.context(tmp_path, "jeroboam-scaler", "jeroboam:scaler")
        path = f"/api/v1/namespaces/default/pods/{pod}"
        async with httpx.AsyncClient(base_url=bay.url, verify=context) as client:
            for allowed in ("/api/v1/nodes", "/api/v1/pods", path, "/version", "/readyz", "/apis/apps/v1/daemonsets"):
                assert (await client.get(allowed)).status_code == 200, allowed
            for discovered in ("/api", "/api/v1", "/apis"):  # as system:discovery lets everybody
                assert (await client.get(discovered)).status_code == 200, discovered
            for refused in ("/api/v1/secrets", "/apis/apps/v1/deployments", "/metrics", "/logs"):
                assert (await client.get(refused)).status_code == 403, refused
            told = (await client.patch(path, json={})).json()
            eviction = {"metadata": {"name": pod}}
            evicted = await client.post(f"{path}/eviction", json=eviction)
            assert evicted.status_code == 201, evicted.text
        assert (told["code"], told["reason"], told["details"]) == (403, "Forbidden", {"name": pod, "kind": "pods"})
        assert told["message"] == (
            f'pods "{pod}" is forbidden: User "jeroboam-scaler" cannot patch resource "pods" in API group "" '
            'in the namespace "default"'
        )


async def test_a_certificate_without_a_group_may_nothing(tmp_path: Path) -> None:
    async with kubernetes_bay() as bay:
        context = bay.context(tmp_path, "somebody", "people")
        async with httpx.AsyncClient(base_url=bay.url, verify=context) as client:
            assert (await client.get("/api/v1")).json()["kind"] == "APIResourceList"
            assert (await client.get("/metrics")).status_code == 403
            assert (await client.get("/api/v1/nodes")).json()["message"] == (
                'nodes is forbidden: User "somebody" cannot list resource "nodes" in API group "" at the cluster scope'
            )
