"""Kubernetes on Fedora Atomic: a master and a minion boot with what the driver rendered, on real etcd and docker."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import kubernetes, master, no_secret_lies_open, raised, workers
from tests.support.lab.cloud import Wanted, create, outcome
from tests.support.lab.lab import Lab

SSL = "/etc/kubernetes/ssl"


async def registered(lab: Lab, *, options: str = "", url: str) -> list[dict[str, Any]]:
    """The nodes that kube-apiserver keeps in etcd, as the minion sees them."""
    said = await workers(lab)[0].sh(f"curl -sS -f --max-time 10 {options} {url}/api/v1/nodes")
    items: list[dict[str, Any]] = json.loads(said)["items"]
    return items


async def test_a_bay_without_tls_is_completed_by_its_nodes(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        bay = Wanted("fedora-atomic", kubernetes(tls_disabled=True), {"name": "plain", "node_count": 1})
        await raised(stack, lab, client, bay)
        address = master(lab).machine.address
        (node,) = await registered(lab, url=f"http://{address}:8080")
        assert node["metadata"]["name"] == workers(lab)[0].machine.address
        docker = json.loads(await workers(lab)[0].run("docker", "info", "--format", "{{json .}}"))
        assert docker["Driver"] == "overlay"
        assert ["Backing Filesystem", "xfs"] in docker["DriverStatus"], "docker does not use the Cinder volume"
        await no_secret_lies_open(lab.nodes.values())


async def test_a_bay_with_certificates_from_the_running_services(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        bay = Wanted("fedora-atomic", kubernetes(), {"name": "k8s", "node_count": 1})
        uuid = await raised(stack, lab, client, bay)
        first, minion = master(lab), workers(lab)[0]
        url = f"https://{first.machine.address}:6443"
        whoever = await minion.sh(f"curl -sS -k -o /dev/null -w '%{{http_code}}' {url}/api/v1/nodes", check=False)
        assert whoever.strip() in {"000", "401"}, "kube-apiserver answers those without a certificate"
        identity = f"--cacert {SSL}/ca.crt --cert {SSL}/node.crt --key {SSL}/node.key"
        (node,) = await registered(lab, options=identity, url=url)
        assert node["user"]["organizationName"] == "system:nodes"
        assert (await client.authority(uuid)).pem.strip() == (await minion.sh(f"cat {SSL}/ca.crt")).strip()
        for address in (first.machine.address, "127.0.0.1"):
            said = await first.sh(f"curl -sS --max-time 5 http://{address}:2379/v2/keys", check=False)
            assert address == "127.0.0.1" or not said, "etcd answers on the network without TLS"
        await no_secret_lies_open(lab.nodes.values())
        await first.sh("JEROBOAM_NOW=1 sh /etc/jeroboam/node-agent run", limit=30)
        wishes = json.loads(await first.sh("cat /var/lib/jeroboam/wanted.json"))
        assert wishes["ca_pem"].strip() == (await client.authority(uuid)).pem.strip()


def with_another_secret(name: str, user_data: str) -> str:
    """The minion's user-data, and a secret in it that the cloud gave to nobody."""
    if "-minion-" not in name:
        return user_data
    changed, count = re.subn(r"(?m)^(\s+content: [|'\"]?\s*)[A-Za-z0-9]{64}\b", r"\g<1>" + "x" * 64, user_data)
    assert count == 1
    return changed


async def test_a_node_with_a_wrong_secret_gets_no_certificate(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("fedora-atomic", kubernetes(), {"name": "thief", "node_count": 1}, edit=with_another_secret)
        status, why = await outcome(client, await create(stack, lab, client, wanted))
        assert status == "CREATE_FAILED"
        thief = workers(lab)[0]
        assert f"{thief.machine.name}: certificates: certificate refused (403)" in why
        assert not (await thief.sh("find / -xdev -type f -name '*.crt' -newer /etc/jeroboam/bay.env")).strip()


@pytest.mark.parametrize("missing", ["kube-apiserver"])
async def test_what_a_node_lacks_is_the_reason_of_the_bay(stack: LocalStack, lab: Lab, missing: str) -> None:
    async with stack.client("demo") as client:
        model = kubernetes(tls_disabled=True)
        wanted = Wanted("fedora-atomic", model, {"name": "broken", "node_count": 1}, without=(missing,))
        status, why = await outcome(client, await create(stack, lab, client, wanted))
        assert status == "CREATE_FAILED"
        assert "kube_masters.0.wait_condition" in why
        assert f"{master(lab).machine.name}: kubernetes: {missing} did not start" in why
