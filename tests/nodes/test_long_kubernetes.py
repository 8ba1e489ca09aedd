"""Kubernetes with several masters, and the current one by kubeadm. Part of `make test-nodes` only."""

from __future__ import annotations

import json

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.nodes.bays import kubeadm, kubernetes, master, no_secret_lies_open, raised, workers
from tests.support.lab.cloud import Wanted
from tests.support.lab.lab import Lab
from tests.support.lab.network import GATEWAY

pytestmark = pytest.mark.timeout(400)

ETCD = "ETCDCTL_API=3 etcdctl --cacert {0}/ca.crt --cert {0}/{1}.crt --key {0}/{1}.key"
NODE = "--cacert {0}/ca.crt --cert {0}/{1}.crt --key {0}/{1}.key"


async def members(lab: Lab, place: str, name: str) -> list[str]:
    """The names of etcd's members, as the second master sees them, and each of them is healthy."""
    second = master(lab, 1)
    control = f"{ETCD.format(place, name)} --endpoints https://{second.machine.address}:2379"
    await second.sh(f"{control} endpoint health --cluster")
    found = json.loads(await second.sh(f"{control} member list -w json"))["members"]
    return sorted(one["name"] for one in found)


def masters(lab: Lab, count: int) -> list[str]:
    """Their names."""
    return [master(lab, index).machine.name for index in range(count)]


async def test_three_masters_form_one_etcd_without_a_discovery_service(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        model = kubernetes(docker_volume_size=None)
        wanted = Wanted("fedora-atomic", model, {"name": "three", "node_count": 1, "master_count": 3})
        await raised(stack, lab, client, wanted, seconds=150)
        assert await members(lab, "/etc/etcd/ssl", "node") == masters(lab, 3)
        identity = NODE.format("/etc/kubernetes/ssl", "node")
        for index in range(3):  # what one kube-apiserver took, all of them have
            url = f"https://{master(lab, index).machine.address}:6443/api/v1/nodes"
            items = json.loads(await workers(lab)[0].sh(f"curl -sS -f {identity} {url}"))["items"]
            assert [one["metadata"]["name"] for one in items] == [workers(lab)[0].machine.address]
        keys = {await master(lab, i).sh("sha256sum </etc/kubernetes/ssl/service-account.key") for i in range(3)}
        assert len(keys) == 1, "what one master signs, the others do not accept"
        await no_secret_lies_open(lab.nodes.values())


@pytest.mark.parametrize("count", [1, 3])
async def test_kubernetes_by_kubeadm(stack: LocalStack, lab: Lab, count: int) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("ubuntu", kubeadm(), {"name": "current", "node_count": 1, "master_count": count})
        await raised(stack, lab, client, wanted, seconds=200)
        identity = NODE.format("/etc/kubernetes/pki", "kubelet")
        url = f"https://{master(lab).machine.address}:6443"
        items = json.loads(await workers(lab)[0].sh(f"curl -sS -f {identity} {url}/api/v1/nodes"))["items"]
        assert {one["metadata"]["name"] for one in items} == set(lab.nodes)
        if count > 1:
            assert await members(lab, "/etc/kubernetes/pki/etcd", "server") == masters(lab, count)
        forbidden = await workers(lab)[0].sh(
            f"curl -sS -o /dev/null -w '%{{http_code}}' {identity} -X POST {url}/stand-in/objects -d '{{}}'"
        )
        assert forbidden == "403", "a worker's certificate is an administrator's"
        authorities = "find / -xdev -name 'ca.key' -o -xdev -name '*-ca.key'"
        assert not (await master(lab).sh(authorities)).strip(), "an authority's key is on a master"
        await no_secret_lies_open(lab.nodes.values())


async def network(client: JeroboamClient) -> str:
    """The name of a network of the project's own, with the addresses of the lab."""
    call = client.session.call
    made = json.loads((await call("network", "POST", "/networks", json={"network": {"name": "provider"}})).body)
    subnet = {"network_id": made["network"]["id"], "cidr": "10.0.0.0/24", "gateway_ip": GATEWAY, "ip_version": 4}
    await call("network", "POST", "/subnets", json={"subnet": {"name": "provider", **subnet}})
    return "provider"


async def test_bare_metal_on_a_network_that_was_there(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        other = {"server_type": "bm", "image_id": "fedora-k8s-ironic", "floating_ip_enabled": False}
        flavors = {"flavor_id": "baremetal", "master_flavor_id": "baremetal", "docker_volume_size": None}
        model = kubernetes(fixed_network=await network(client), **other, **flavors)
        await raised(stack, lab, client, Wanted("fedora", model, {"name": "metal", "node_count": 1}), seconds=150)
        identity = NODE.format("/etc/kubernetes/ssl", "node")
        url = f"https://{master(lab).machine.address}:6443/api/v1/nodes"
        items = json.loads(await workers(lab)[0].sh(f"curl -sS -f {identity} {url}"))["items"]
        assert [one["metadata"]["name"] for one in items] == [workers(lab)[0].machine.address]
