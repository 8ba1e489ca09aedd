"""REX-Ray: its configuration, and the stand-in for Keystone that spares the node a password."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typing_extensions import override

from shared.drivers import registry
from shared.drivers.contract import Driver
from tests.drivers.nodes import Sandbox, environment, node

HAVING = [driver for driver in registry.DRIVERS if "rexray" in driver.support.volume_drivers]
each_driver = pytest.mark.parametrize("driver", HAVING, ids=lambda driver: driver.name)


class Keystone(BaseHTTPRequestHandler):
    """Takes logins, and keeps what it was sent."""

    seen: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.seen.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        body = json.dumps({"token": {"catalog": [{"type": "volumev3", "endpoints": ["e"]}]}}).encode()
        self.send_response(201)
        self.send_header("X-Subject-Token", "gAAA-real")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Quiet."""


@pytest.fixture
def keystone() -> Iterator[tuple[str, list[Any]]]:
    Keystone.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Keystone) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v3", Keystone.seen
        server.shutdown()


def mounted(tmp_path: Path, driver: Driver, keystone_url: str = "http://127.0.0.1:1/v3", **labels: str) -> Sandbox:
    given = {"volume_driver": "rexray", "labels": labels, "keystone_url": keystone_url}
    sandbox = Sandbox(tmp_path, node(driver, "worker", **given))
    sandbox.program("rexray", "exit 0")
    done = sandbox.run("45-rexray.worker.sh")
    assert done.returncode == 0, sandbox.failure()
    return sandbox


@each_driver
@pytest.mark.parametrize("name", ["rexray_preempt", "rexray-preempt"])
def test_rexray_preempt(tmp_path: Path, driver: Driver, name: str) -> None:
    assert "preempt: true\n" in mounted(tmp_path / "on", driver, **{name: "True"}).read("/etc/rexray/config.yml")
    assert "preempt: false\n" in mounted(tmp_path / "off", driver).read("/etc/rexray/config.yml")


@each_driver
def test_only_workers_have_it_and_the_credential(driver: Driver) -> None:
    worker, master = (node(driver, role, volume_driver="rexray") for role in ("worker", "master"))
    assert "/etc/jeroboam/cloud-credential" in worker.files
    assert worker.files["/etc/jeroboam/cloud-credential"]["permissions"] == "0600"
    assert "/etc/jeroboam/cloud-credential" not in master.files
    assert "rexray" not in environment(driver, "master", volume_driver="rexray")["JB_UNITS"]
    assert "45-rexray.worker.sh" not in node(driver, "worker").scripts


@each_driver
def test_the_password_is_the_nodes_own_and_private(tmp_path: Path, driver: Driver) -> None:
    sandbox = mounted(tmp_path, driver)
    password = sandbox.read("/var/lib/jeroboam/rexray-password")
    assert len(password) == 64
    assert f"password: {password}\n" in sandbox.read("/etc/rexray/config.yml")
    assert sandbox.mode("/etc/rexray/config.yml") == sandbox.mode("/var/lib/jeroboam/rexray-password") == 0o600
    assert "zq7-secret" not in sandbox.read("/etc/rexray/config.yml")


def login(password: str) -> str:
    user = {"name": "node", "domain": {"name": "node"}, "password": password}
    body = json.dumps({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}})
    return f"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def asked(sandbox: Sandbox, request: str) -> tuple[str, str]:
    """The stand-in's status line and the whole answer."""
    done = sandbox.run("/etc/jeroboam/keystone-stand-in", stdin=request)
    return done.stdout.splitlines()[0], done.stdout


@each_driver
def test_the_stand_in_logs_in_with_the_bays_credential(
    tmp_path: Path, driver: Driver, keystone: tuple[str, list[Any]]
) -> None:
    url, seen = keystone
    sandbox = mounted(tmp_path, driver, keystone_url=url)
    status, answer = asked(sandbox, login(sandbox.read("/var/lib/jeroboam/rexray-password")))
    assert status == "HTTP/1.1 201 Created"
    assert "X-Subject-Token: gAAA-real" in answer
    told = json.loads(answer.partition("\n\n")[2] or answer.partition("\r\n\r\n")[2])
    found = {one["type"]: one["endpoints"] for one in told["token"]["catalog"]}
    assert found == {kind: ["e"] for kind in ("volume", "volumev2", "volumev3")}
    ((path, body),) = seen
    assert path == "/v3/auth/tokens"
    identity = body["auth"]["identity"]
    assert identity["methods"] == ["application_credential"]
    assert identity["application_credential"] == {"id": "a1b2", "secret": "zq7-secret"}


@each_driver
@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (login("guess"), "HTTP/1.1 401 Unauthorized"),
        ("GET /v3/auth/tokens HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("POST /v3/auth/tokens HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("POST /v3/auth/tokens HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{{", "HTTP/1.1 401 Unauthorized"),
    ],
)
def test_the_stand_in_answers_nobody_else(
    tmp_path: Path, driver: Driver, keystone: tuple[str, list[Any]], request_text: str, status: str
) -> None:
    url, seen = keystone
    sandbox = mounted(tmp_path, driver, keystone_url=url)
    assert asked(sandbox, request_text)[0] == status
    assert seen == []


@each_driver
def test_a_keystone_that_is_away_is_told_as_such(tmp_path: Path, driver: Driver) -> None:
    sandbox = mounted(tmp_path, driver)
    status, answer = asked(sandbox, login(sandbox.read("/var/lib/jeroboam/rexray-password")))
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert "Keystone answered 000" in answer
