"""Swarm mode on Fedora Atomic: a manager and a node boot with what the driver rendered, on real docker with TLS."""

from __future__ import annotations

import json

from services.cli.stack import LocalStack
from tests.nodes.bays import master, no_secret_lies_open, raised, swarm, workers
from tests.support.lab.cloud import Wanted
from tests.support.lab.lab import Lab

CERTIFICATES = " ".join(
    [
        "--tlsverify",
        *(
            f"--tls{kind}=/etc/docker/{file}"
            for kind, file in (("cacert", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
        ),
    ]
)


async def test_two_nodes_form_a_swarm_with_certificates_from_the_running_services(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("fedora-atomic", swarm("swarm-mode"), {"name": "swarm", "node_count": 1})
        bay = await raised(stack, lab, client, wanted)
        manager, node = master(lab), workers(lab)[0]
        there = f"tcp://{manager.machine.address}:2375"
        listed = await node.sh(f"docker -H {there} {CERTIFICATES} node ls --format '{{{{json .}}}}'")
        nodes = {one["Hostname"]: one for one in map(json.loads, listed.splitlines())}
        assert set(nodes) == {manager.machine.name, node.machine.name}
        assert {one["Status"] for one in nodes.values()} == {"Ready"}
        assert nodes[manager.machine.name]["ManagerStatus"] == "Leader"
        pools = await manager.run("docker", "info", "--format", "{{json .Swarm.Cluster.DefaultAddrPool}}")
        assert json.loads(pools) == ["172.31.0.0/16"], "docker's own pool holds the nodes' network"

        address = f"{manager.machine.address}:2375"
        foreign = await node.sh(f"curl -sS -k -o /dev/null -w '%{{http_code}}' https://{address}/info", check=False)
        plain = await node.sh(f"curl -sS -o /dev/null -w '%{{http_code}}' http://{address}/info", check=False)
        assert foreign.strip() == "000", "docker answers those without a certificate"
        assert plain.strip() in {"000", "400"}, "docker answers without TLS"
        assert (await client.authority(bay)).pem.strip() == (await node.sh("cat /etc/docker/ca.crt")).strip()
        await no_secret_lies_open(lab.nodes.values())
