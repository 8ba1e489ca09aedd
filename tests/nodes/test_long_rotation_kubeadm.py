"""The authorities of a bay by kubeadm are rotated while a client reads its etcd. Part of `make test-nodes` only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import kubeadm, master, no_secret_lies_open, raised, workers
from tests.nodes.rotations import Identity, answers, hurry, rotate, rotation
from tests.support.lab import cloud, etcd_client
from tests.support.lab.cloud import Wanted, outcome
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

pytestmark = pytest.mark.timeout(1800)

MASTERS: Final = 3
PKI: Final = "/etc/kubernetes/pki"
AS_NODE: Final = f"--cacert {PKI}/ca.crt --cert {PKI}/kubelet.crt --key {PKI}/kubelet.key"
READER: Final = "/run/reader"
FILES: Final = {"ca": "ca.crt", "cert": "healthcheck-client.crt", "key": "healthcheck-client.key"}
LINKS: Final = "; ".join(f"ln -s {PKI}/etcd/{file} {READER}/identity/{name}.pem" for name, file in FILES.items())


@asynccontextmanager
async def reader_of_etcd(node: Node, endpoints: list[str]) -> AsyncIterator[dict[str, Any]]:
    """A client of etcd on a master, with the files of that master as they are at each moment; what it counted is in
    the dictionary at the end."""
    await node.sh(f"mkdir -p {READER}/identity; {LINKS}")
    await node.run("sh", "-c", f"cat >{READER}/client.py", stdin=Path(etcd_client.__file__).read_text())
    counted: dict[str, Any] = {}
    running = asyncio.create_task(node.run("python3", "-I", f"{READER}/client.py", READER, *endpoints, limit=1500))
    try:
        yield counted
    finally:
        await node.sh(f"touch {READER}/stop")
        await running
    counted |= json.loads(await node.sh(f"cat {READER}/counted.json"))


async def objects(node: Node) -> list[dict[str, Any]]:
    """What has been applied to the bay."""
    url = f"https://{node.machine.address}:6443/stand-in/objects"
    items: list[dict[str, Any]] = json.loads(await node.sh(f"curl -sS -f {AS_NODE} {url}"))["items"]
    return items


async def trusts_alone(node: Node, pem: str) -> None:
    """Nothing on the node holds another authority than the one that is left."""
    master = "-master-" in node.machine.name
    files = [f"{PKI}/ca.crt", *([f"{PKI}/front-proxy-ca.crt", f"{PKI}/etcd/ca.crt"] if master else [])]
    for file in files:
        assert (await node.sh(f"grep -c BEGIN {file}")).strip() == "1", f"{node.machine.name}: {file}"
    assert (await node.sh(f"cat {PKI}/ca.crt")).strip() == pem.strip()
    confs = await node.sh(
        "for file in /etc/kubernetes/*.conf; do "
        "sed -n 's/ *certificate-authority-data: //p' $file | openssl base64 -d -A | grep -c BEGIN; done"
    )
    assert set(confs.split()) == {"1"}, node.machine.name
    await node.sh(f"openssl verify -no-CApath -no-CAstore -CAfile {PKI}/ca.crt {PKI}/kubelet.crt")


async def test_nobody_fails_to_read_while_the_authorities_of_kubeadms_bay_are_rotated(
    stack: LocalStack, lab: Lab, tmp_path: Path
) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("ubuntu", kubeadm(), {"name": "turning", "node_count": 1, "master_count": MASTERS})
        bay = await raised(stack, lab, client, wanted, seconds=300)
        await hurry(lab.nodes.values())
        masters = [master(lab, index) for index in range(MASTERS)]
        doors = [f"https://{one.machine.address}:6443/api/v1/nodes" for one in masters]
        person = Identity(client, bay, tmp_path)
        old = await person.renew()
        assert all([await answers(lab, old, door) for door in doors])
        etcd = [f"https://{one.machine.address}:2379" for one in masters]
        pods = {one["name"]: one.get("revision", "") for one in await objects(masters[0]) if one["kind"] == "DaemonSet"}
        assert set(pods.values()) == {""}

        async with reader_of_etcd(masters[1], etcd) as counted:
            await rotate(client, bay)
            status, why = await outcome(client, bay, 1200)
        assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
        print(json.dumps(counted))
        assert not counted["failed_reads"], counted
        assert all(counted["served"].values()), counted

        assert await rotation(client, bay) is None
        new = await person.renew()
        pem = (new / "ca.pem").read_text()
        assert pem.count("BEGIN") == 1
        assert pem != (old / "ca.pem").read_text()
        for door in doors:
            assert await answers(lab, new, door), door
            assert not await answers(lab, old, door, authority=new), f"{door} takes a certificate of before"
        for node in lab.nodes.values():
            await trusts_alone(node, pem)
        await pods_trust_alone(masters[0], pem)
        await no_secret_lies_open(lab.nodes.values())

        # A worker that comes afterwards knows nothing of the authorities that were.
        await client.resize_bay(bay, 2)
        more = Wanted("ubuntu", wanted.baymodel, {**wanted.bay, "node_count": 2})
        await cloud.boot(stack, lab, bay, more)
        status, why = await outcome(client, bay, 300)
        assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
        assert len(workers(lab)) == 2
        for node in workers(lab):
            await trusts_alone(node, pem)
            born_to_trust = await node.sh("cat /etc/jeroboam/ca.pem")
            assert (born_to_trust.strip() == pem.strip()) == (node is not workers(lab)[0])
        names = json.loads(await workers(lab)[1].sh(f"curl -sS -f {AS_NODE} {doors[0]}"))["items"]
        assert {one["metadata"]["name"] for one in names} == set(lab.nodes)


async def pods_trust_alone(node: Node, pem: str) -> None:
    """Pods were given the one authority, and those of the bay have started since; aggregated servers were told."""
    there = await objects(node)
    (given,) = {one["data"]["ca.crt"] for one in there if one["name"] == "kube-root-ca.crt"}
    assert given.strip() == pem.strip()
    (told,) = [one["data"] for one in there if one["name"] == "extension-apiserver-authentication"]
    assert told["client-ca-file"].strip() == pem.strip()
    assert told["requestheader-client-ca-file"].count("BEGIN") == 1
    revisions = {one["name"]: one.get("revision", "") for one in there if one["kind"] in ("DaemonSet", "Deployment")}
    assert len(set(revisions.values())) == 1, revisions
    assert "" not in revisions.values()
