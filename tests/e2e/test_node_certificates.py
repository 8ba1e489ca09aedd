"""Nodes and their certificates, through the API, the database, the bus, the provisioner and the authority."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.node_profiles import PROFILES
from shared.drivers.k8s_fedora_atomic.driver import K8sFedoraAtomic
from shared.pki_client import verify_chain
from tests.e2e.nodes import PATIENCE, Node, key_pem, new_key, nodes_of, unknown_id
from tests.support.jobs import BAYMODEL, control, reason, rows, settled

DRIVER = K8sFedoraAtomic()
NOT_ITS_SECRET = "The secret is not this server's."
STRANGER = "No certificate: bay, server, role, secret and names do not belong together."


@asynccontextmanager
async def running(root: Path, **other: object) -> AsyncIterator[LocalStack]:
    """A stack on the embedded bus."""
    async with LocalStack(root, speed=20, time_scale=0.5, **other) as stack:  # type: ignore[arg-type]
        yield stack


async def bay_of(client: JeroboamClient, name: str = "k8s") -> str:
    """A bay with a master and two workers, made."""
    model = await client.create_baymodel({**BAYMODEL, "name": name})
    bay = await client.create_bay({"name": name, "baymodel_id": model.uuid, "node_count": 2})
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
    return bay


async def half_made(stack: LocalStack, client: JeroboamClient, servers: int) -> str:
    """A bay whose nodes are up and have not reported, as when they ask for their first certificates."""
    await control(stack, "/heat/behaviours", "POST", {"effect": "never_signal", "path": "*"})
    model = await client.create_baymodel(BAYMODEL)
    bay = await client.create_bay({"name": "k8s", "baymodel_id": model.uuid, "node_count": servers - 1})
    async with asyncio.timeout(PATIENCE):
        while len(await nodes_of(stack, client, bay) if (await client.bay(bay)).stack_id else []) < servers:
            await asyncio.sleep(0.2)
    return bay


def extension(pem: str, kind: type[x509.ExtensionType]) -> x509.ExtensionType:
    return x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(kind).value


def check(node: Node, profile: str, pem: str, authority: str, csr: str) -> None:
    """A certificate is what its profile says, for the node's key, from that authority."""
    facts, leaf = PROFILES[profile], x509.load_pem_x509_certificate(pem.encode())
    verify_chain(pem, authority)
    assert leaf.public_key() == node.key.public_key()
    (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == facts.common_name.format(node=node.name)
    organizations = [one.value for one in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert organizations == ([facts.organization] if facts.organization else [])
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * facts.server + [ExtendedKeyUsageOID.CLIENT_AUTH] * facts.client
    assert list(extension(pem, x509.ExtendedKeyUsage)) == purposes  # type: ignore[call-overload]
    asked = x509.load_pem_x509_csr(csr.encode()).extensions
    names = [one.value for one in leaf.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
    wanted = asked.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names == ([wanted] if facts.server else [])


async def test_nodes_get_certificates_and_are_known_by_them(stack: LocalStack, tmp_path: Path) -> None:
    async with stack.client("demo") as client:
        bay = await half_made(stack, client, servers=2)
        master, worker = await nodes_of(stack, client, bay)
        names, addresses = ("kubernetes", "localhost"), ("127.0.0.1",)
        asked = {master.server_id: master.csr(*names, addresses=addresses), worker.server_id: worker.csr()}
        for node in (master, worker):
            csr = asked[node.server_id]
            issued = await node.insist(csr)
            profiles = DRIVER.certificates["master" if node is master else "worker"]
            assert ("shared" in issued) == (node is master and DRIVER.shares_service_account)
            if "shared" in issued:
                assert set(json.loads(opened(tmp_path, node, issued["shared"]))) == {"service-account.key"}
            assert set(issued["certificates"]) == set(profiles)
            assert set(issued["authorities"]) == {"kubernetes", "etcd", "front_proxy"}
            assert issued["pem"] == issued["certificates"]["node"]
            for profile, pem in issued["certificates"].items():
                check(node, profile, pem, issued["authorities"][PROFILES[profile].authority], csr)
            assert await node.insist(csr) == issued  # the same question, the same answer

        wanted = await worker.call("GET", "/nodes/self")
        assert wanted.status_code == 200, wanted.text
        assert set(wanted.json()) == {
            *(
                "revision",
                "ca_pem",
                "authorities",
                "renew",
                "operation_active",
                "credential_generation",
                "masters",
                "leaving",
            ),
        }
        assert wanted.json()["authorities"] == issued["authorities"]
        assert wanted.json()["ca_pem"] == (await client.authority(bay)).pem
        assert (wanted.json()["renew"], wanted.json()["operation_active"]) == (False, True)
        again = await worker.call("GET", "/nodes/self", headers={"If-None-Match": wanted.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")

        said = {"healthy": True, "revision": wanted.json()["revision"], "units": {"kubelet": "active"}}
        assert (await worker.call("PUT", "/nodes/self", said)).status_code == 204
        kept = "SELECT server_id, healthy, revision, units, reported_at FROM node_reports"
        (first,) = await rows(stack, kept)
        assert (first["server_id"], first["healthy"]) == (worker.server_id, True)
        assert json.loads(first["units"]) == said["units"]
        assert (await worker.call("PUT", "/nodes/self", said)).status_code == 204
        assert await rows(stack, kept) == [first]  # nothing new, nothing written
        assert (await worker.call("PUT", "/nodes/self", {**said, "healthy": False})).status_code == 204
        assert [row["healthy"] for row in await rows(stack, kept)] == [False]

        await renewed(worker)
        actions = {row["action"] for row in await rows(stack, "SELECT action FROM certificate_audit")}
        assert "node_refused" not in actions
        assert await rows(stack, "SELECT id FROM attestations WHERE secret IS NOT NULL") == []
    logs = "".join(path.read_text() for path in stack.workspace.logs.glob("*.log"))
    assert master.secret not in logs
    assert worker.secret not in logs


def opened(folder: Path, node: Node, cms: str) -> bytes:
    """What openssl makes of it with the node's key, as the agent calls it."""
    (folder / "cms").write_text(cms)
    (folder / "key").write_bytes(key_pem(node.key))
    (folder / "crt").write_text(node.certificate)
    command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", "cms", "-inkey", "key", "-recip", "crt"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


async def renewed(node: Node) -> None:
    """A new key and a new certificate, by the old one; the old one is known until it ends."""
    old, node.key = node.key, new_key()
    csr = node.csr()
    new, node.key = node.key, old
    answer = await node.renew(csr)
    assert answer.status_code == 201, answer.text
    assert answer.json()["pem"] != node.certificate
    assert (await node.call("GET", "/nodes/self")).status_code == 200
    node.key, node.certificate = new, answer.json()["pem"]
    assert (await node.call("GET", "/nodes/self")).status_code == 200


async def test_a_certificate_that_ends_soon_is_to_be_renewed(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client("demo") as client:
        bay = await bay_of(client)
        node = (await nodes_of(stack, client, bay))[1]
        await node.insist(node.csr())
        before = await node.call("GET", "/nodes/self")
        assert before.json()["renew"] is False
        await rows(stack, "UPDATE certificates SET not_before = now() - interval '300 days'")
        await rows(stack, "UPDATE certificates SET not_after = now() + interval '140 days'")
        after = await node.call("GET", "/nodes/self", headers={"If-None-Match": before.headers["ETag"]})
        assert (after.status_code, after.json()["renew"]) == (200, True)

        for headers, late, why in (
            ({"X-Jeroboam-Signature": base64.b64encode(b"x" * 70).decode()}, 0, "is not of the certificate's key"),
            ({"X-Jeroboam-Certificate": "!"}, 0, "is not base64"),
            ({"X-Jeroboam-Time": "soon"}, 0, "not a number"),
            ({}, -400, "differs by more than 300 s"),
            ({}, 400, "differs by more than 300 s"),
        ):
            answer = await node.call("GET", "/nodes/self", headers=headers, late=late)
            assert answer.status_code == 401
            assert why in answer.json()["errors"][0]["detail"]
        mine = (await client.sign(bay, node.csr())).pem  # by the same authority, but no node's
        stranger = replace(node, certificate=mine)
        answer = await stranger.call("GET", "/nodes/self")
        assert answer.status_code == 401
        assert "not one that a bay's authority issued to a node" in answer.json()["errors"][0]["detail"]


async def test_every_refusal_is_403_with_a_line_in_the_audit_trail(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client("demo") as client:
        bay, other = await bay_of(client), await bay_of(client, "other")
        master, worker, second = await nodes_of(stack, client, bay)
        cases = (
            (partial(worker.ask, secret="x" * 64), STRANGER, NOT_ITS_SECRET),
            (
                partial(worker.ask, server_id=master.server_id, role="master"),
                STRANGER,
                NOT_ITS_SECRET,
            ),
            (partial(worker.ask, role="master"), "asks for what a master gets.", "The server is a worker"),
            (partial(worker.ask, worker.csr(addresses=["10.9.9.9"])), "10.9.9.9", "is not this node's: 10.9.9.9."),
            (
                partial(worker.ask, worker.csr(addresses=master.addresses[:1])),
                master.addresses[0],
                "is not this node's",
            ),
            (partial(worker.ask, worker.csr(master.name)), master.name, "is not this node's"),
            (partial(worker.ask, server_id=unknown_id()), STRANGER, "There is no such server"),
            (partial(worker.ask, bay=other), STRANGER, "The server is not in the bay's stack."),
            (partial(worker.ask, bay=unknown_id()), STRANGER, None),
            (partial(worker.ask, bay="k8s"), STRANGER, None),
        )
        for asking, told, written in cases:
            await _is_refused(stack, await asking(), told, written)

        await worker.insist(worker.csr())
        worker.key, used = new_key(), worker.key
        await _is_refused(stack, await worker.ask(), "has had its first certificates", "has had its first certificates")
        worker.key = used
        elsewhere = await worker.renew(worker.csr(), bay=other)
        await _is_refused(stack, elsewhere, STRANGER, "It shows the certificate of server")
        for_another = await worker.renew(second.csr(), server_id=second.server_id)
        await _is_refused(stack, for_another, STRANGER, "It shows the certificate of server")
        as_master = await worker.renew(worker.csr("worker"), role="master")
        await _is_refused(stack, as_master, "asks for what a master gets.", "The server is a worker")
        await second.insist(second.csr())
        await client.resize_bay(bay, 1)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        stay = {row["server_id"] for row in await rows(stack, "SELECT server_id FROM nodes")}
        for node in (worker, second):
            answer = await node.renew(node.csr("left") if node.server_id not in stay else node.csr())
            if node.server_id in stay:
                assert answer.status_code == 201, answer.text
            else:
                await _is_refused(stack, answer, STRANGER, "There is no such server")


async def _is_refused(stack: LocalStack, answer: object, told: str, written: str | None) -> None:
    status, text = answer.status_code, answer.json()  # type: ignore[attr-defined]
    assert status == 403, text
    assert told in text["errors"][0]["detail"]
    lines = await rows(stack, "DELETE FROM certificate_audit WHERE action = 'node_refused' RETURNING detail, requester")
    assert [line["requester"].startswith("node:") for line in lines] == [True] * (written is not None)
    assert all(written is not None and written in line["detail"] for line in lines)


async def test_a_node_that_comes_late_gets_nothing(tmp_path: Path) -> None:
    extra = {"JEROBOAM_FIRST_CERTIFICATE_MINUTES": "0"}
    async with running(tmp_path, extra_environment=extra) as stack, stack.client("demo") as client:
        node = (await nodes_of(stack, client, await bay_of(client)))[1]
        answer = await node.ask()
        await _is_refused(stack, answer, "was made more than 0 minutes ago", "was made more than 0 minutes ago")


POINTS = (
    "provisioner:attest_examined",
    "provisioner:attested",
    "certs:sign_intended",
    "certs:sign_issued",
    "certs:node_signed",
    "certs:node_finished",
)


async def test_a_process_that_dies_in_the_middle_costs_only_time(tmp_path: Path) -> None:
    points = tmp_path / "points"
    points.mkdir()
    stack_folder = tmp_path / "stack"
    async with (
        running(stack_folder, failpoint_dir=points, restart=True) as stack,
        stack.client("demo") as client,
    ):
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "k8s", "baymodel_id": model.uuid, "node_count": len(POINTS)})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        for node, point in zip((await nodes_of(stack, client, bay))[1:], POINTS, strict=True):
            (points / point).touch()
            issued = await node.insist(node.csr())
            assert not (points / point).exists()
            assert (await node.call("GET", "/nodes/self")).status_code == 200
            query = "SELECT pem FROM certificates WHERE requester = $1"
            found = await rows(stack, query, f"node:{node.server_id}")
            assert [row["pem"] for row in found] == list(issued["certificates"].values())
        refused = await rows(stack, "SELECT detail FROM certificate_audit WHERE action = 'node_refused'")
        assert refused == []


async def test_a_cloud_that_does_not_answer_is_503_and_then_the_same_question_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client("demo") as client:
        node = (await nodes_of(stack, client, await bay_of(client)))[1]
        fault = {"kind": "status", "service": "orchestration", "path": "node_secret", "count": 0}
        await control(stack, "/faults", "POST", fault)
        csr = node.csr()
        answer = await node.ask(csr)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        await control(stack, "/faults", "DELETE")
        await node.insist(csr)
        assert len(await rows(stack, "SELECT id FROM attestations")) == 1
