"""A real server over real sockets: connections that are cut, keystoneauth's own logins, and the process's life."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from keystoneauth1 import session
from keystoneauth1.identity import Password, v3
from keystoneauth1.identity.base import BaseIdentityPlugin

from cloudsim.fixtures import project_id, user_id
from cloudsim.world import World
from tests.cloudsim.core.conftest import auth_body

NETWORKS = "/network/v2.0/networks"


async def _logged_in(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.post("/identity/v3/auth/tokens", json=auth_body("demo", "demo"))
    return {"X-Auth-Token": answer.headers["X-Subject-Token"]}


@pytest.mark.parametrize(("kind", "kept"), [("answer_lost", 1), ("drop", 0)])
async def test_the_client_sees_a_broken_connection(server: str, world: World, kind: str, kept: int) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        headers = await _logged_in(client)
        rule = {"kind": kind, "method": "POST", "path": NETWORKS}
        await client.post("/control/faults", json=rule)
        with pytest.raises(httpx.TransportError):
            await client.post(NETWORKS, json={"network": {"name": "lost"}}, headers=headers)
        assert len(world.store.find("network", name="lost")) == kept
        again = await client.post(NETWORKS, json={"network": {"name": "again"}}, headers=headers)
        assert again.status_code == 201


async def test_not_a_byte_of_answer_is_sent(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    async with httpx.AsyncClient(base_url=server) as client:
        await client.post("/control/faults", json={"kind": "answer_lost", "path": "^/identity"})
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /identity/v3 HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        got = await reader.read()
    except ConnectionResetError:
        got = b""
    assert got == b""
    writer.close()


async def test_a_late_effect_happens_though_the_client_has_gone(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        headers = await _logged_in(client)
        rule = {"kind": "late", "effect_at": 89, "answer_at": 90, "method": "POST", "path": NETWORKS}
        await client.post("/control/faults", json=rule)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(NETWORKS, json={"network": {"name": "late"}}, headers=headers, timeout=0.2)
        assert world.store.find("network", name="late") == []
        await client.post("/control/clock/advance", json={"seconds": 100})
        assert len(world.store.find("network", name="late")) == 1


def _access(plugin: BaseIdentityPlugin, url: str) -> dict[str, Any]:
    """Log in with keystoneauth, find an endpoint in its catalog and use it."""
    with httpx.Client() as probe:
        probe.get(f"{url}/identity/v3").raise_for_status()
    found = session.Session(auth=plugin)
    access = plugin.get_access(found)
    listing = found.get("/servers", endpoint_filter={"service_type": "compute", "interface": "public"})
    body = found.get("/v2.0/networks", endpoint_filter={"service_type": "network"}).json()
    return {"access": access, "status": listing.status_code, "networks": [n["name"] for n in body["networks"]]}


def _password(url: str, user: str, *, project: str | None = None, trust_id: str | None = None) -> v3.Password:
    return v3.Password(
        f"{url}/identity/v3",
        username=user,
        password=user,
        user_domain_name="Default",
        project_name=project,
        project_domain_name="Default" if project else None,
        trust_id=trust_id,
    )


async def test_keystoneauth_by_password(server: str) -> None:
    result = await asyncio.to_thread(_access, _password(server, "demo", project="demo"), server)
    assert result["access"].project_id == project_id("demo")
    assert result["access"].username == "demo"
    assert (result["status"], result["networks"]) == (200, ["public"])
    assert result["access"].service_catalog.url_for(service_type="container-infra").endswith("/v1")


async def test_keystoneauth_discovers_from_the_unversioned_address(server: str) -> None:
    plugin = Password(
        f"{server}/identity",
        username="demo",
        password="demo",
        user_domain_id="default",
        project_name="demo",
        project_domain_id="default",
    )
    result = await asyncio.to_thread(_access, plugin, server)
    assert result["access"].project_name == "demo"


async def test_keystoneauth_by_application_credential(server: str) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        url = f"/identity/v3/users/{user_id('demo')}/application_credentials"
        body = {"application_credential": {"name": "ac"}}
        made = (await client.post(url, json=body, headers=await _logged_in(client))).json()["application_credential"]
    plugin = v3.ApplicationCredential(
        f"{server}/identity/v3",
        application_credential_id=made["id"],
        application_credential_secret=made["secret"],
    )
    result = await asyncio.to_thread(_access, plugin, server)
    assert result["access"].application_credential_id == made["id"]
    assert result["access"].project_id == project_id("demo")


async def test_keystoneauth_by_trust(server: str) -> None:
    trust = {
        "trustor_user_id": user_id("demo"),
        "trustee_user_id": user_id("jeroboam"),
        "project_id": project_id("demo"),
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    async with httpx.AsyncClient(base_url=server) as client:
        headers = await _logged_in(client)
        made = await client.post("/identity/v3/OS-TRUST/trusts", json={"trust": trust}, headers=headers)
    plugin = _password(server, "jeroboam", trust_id=made.json()["trust"]["id"])
    result = await asyncio.to_thread(_access, plugin, server)
    assert result["access"].trust_scoped
    assert result["access"].trustor_user_id == user_id("demo")


def _start(port_file: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cloudsim", "--port-file", str(port_file), *more]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_tells_its_port_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    port_file = tmp_path / "port"
    process = _start(port_file, "--container-url", "http://127.0.0.1:1/v1")
    try:
        await _until(port_file.exists)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{int(port_file.read_text())}") as client:
            await client.post("/control/faults", json={"kind": "hang", "path": "/identity"})
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/identity", timeout=0.1)
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert [p.name for p in tmp_path.iterdir()] == ["port"]
    finally:
        process.kill()
        process.wait()


async def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    port_file, pid_file = tmp_path / "port", tmp_path / "pid"
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'cloudsim', '--port-file', sys.argv[1],"
        " '--parent-pid', str(os.getpid())])\n"
        "open(sys.argv[2], 'w').write(str(child.pid))\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.02)\n"
    )
    command = [sys.executable, "-c", script, str(port_file), str(pid_file)]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    assert await asyncio.to_thread(parent.wait, 30) == 0
    pid = int(pid_file.read_text())
    await _until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    """Whether the process is there and not a zombie that nobody has fetched."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_help_is_complete() -> None:
    command = [sys.executable, "-m", "cloudsim", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]).stdout
    for option in ("--host", "--port", "--port-file", "--speed", "--container-url", "--parent-pid", "/control"):
        assert option in shown
