"""The node agent against a real HTTP server on the loopback, with real certificates; systemctl is a recorder."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from tests.drivers.cases import tool

AGENT = Path(__file__).parents[2] / "shared" / "drivers" / "common" / "node_agent.sh"
SERVER_ID = "eb08c203-24a5-410f-aef4-876b1079fc3e"
SECRET = "s3cret" * 10

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("sh", "curl", "jq", "openssl")),
    reason="NOT RUN: the node agent needs curl, jq and openssl on this machine",
)


class Authority:
    """A bay's authority."""

    def __init__(self, name: str = "bay") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key())
        ca = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = builder.add_extension(ca, critical=True).sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
            now + datetime.timedelta(days=9)
        )

    def sign(self, csr_pem: str) -> str:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        builder = self._builder(csr.subject, csr.public_key())
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Api:
    """What the API answers, in order, per method and path; and what it was asked."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any], str]:
        self.asked.append((request, body, headers))
        script = self.answers[request]
        step = script.pop(0) if len(script) > 1 else script[0]
        status, answer, etag = step(body) if callable(step) else step
        return status, answer, etag

    def bodies(self, request: str) -> list[dict[str, Any]]:
        return [body for name, body, _ in self.asked if name == request]


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer, etag = state.answer(f"{self.command} {self.path}", body, dict(self.headers))
            data = json.dumps(answer).encode() if status not in (204, 304) else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if etag:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 # the names that http.server looks for

        @override
        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    state.answers["GET /meta_data.json"] = [(200, {"uuid": SERVER_ID}, "")]
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Node:
    """The folders of one node, and its agent."""

    root: Path
    api: Api
    authority: Authority

    def prepare(self) -> None:
        for name in ("conf", "state", "bin"):
            (self.root / name).mkdir()
        environment = {
            "JB_API_URL": f"{self.api.url}/v1",
            "JB_BAY_ID": "b1",
            "JB_ROLE": "worker",
            "JB_NODE_NAME": "web-1-minion-0",
            "JB_DNS_NAMES": "web-1-minion-0",
            "JB_IP_ADDRESSES": "'10.0.0.5 127.64.0.5'",
            "JB_WAIT_SECONDS": "20",
            "JB_UNITS": "'docker kubelet'",
            "JB_RESTART_UNITS": "kubelet",
        }
        conf = self.root / "conf"
        (conf / "bay.env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        (conf / "node-secret").write_text(f"{SECRET}\n")
        (conf / "ca.pem").write_text(self.authority.pem)
        (conf / "install-certificates").write_text(f"echo installed >>{self.root}/calls\n")
        recorder = self.root / "bin" / "systemctl"
        recorder.write_text(f'#!/bin/sh\necho "$@" >>{self.root}/calls\n[ "$1" != is-active ] || echo active\n')
        recorder.chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "JEROBOAM_ENV": f"{self.root}/conf/bay.env",
            "JEROBOAM_CONF": f"{self.root}/conf",
            "JEROBOAM_STATE": f"{self.root}/state",
            "JEROBOAM_METADATA": f"{self.api.url}/meta_data.json",
            "JEROBOAM_NOW": "1",
        }
        return subprocess.run(
            [tool("sh"), str(AGENT), command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.root / "state/pki/node.crt").read_bytes())

    def sign(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        return 201, {"pem": self.authority.sign(body["csr"])}, ""


@pytest.fixture
def node(tmp_path: Path, api: Api) -> Node:
    made = Node(tmp_path, api, Authority())
    made.prepare()
    return made


FIRST = "POST /v1/bays/b1/node-certificates"
SELF = "GET /v1/nodes/self"


def test_first_certificate_after_a_wait(node: Node, api: Api) -> None:
    api.answers[FIRST] = [(503, {"errors": [{"detail": "later"}]}, ""), node.sign]
    done = node.run("first-certificate")
    assert done.returncode == 0, done.stderr
    first, second = api.bodies(FIRST)
    assert first == second
    assert (first["server_id"], first["secret"], first["role"]) == (SERVER_ID, SECRET, "worker")
    certificate = node.certificate()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web-1-minion-0"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.5", "127.64.0.5"]
    assert node.calls == ["installed"]
    assert SECRET not in done.stderr + done.stdout


def test_key_matches_and_nothing_is_readable_by_others(node: Node, api: Api) -> None:
    api.answers[FIRST] = [node.sign]
    assert node.run("first-certificate").returncode == 0
    key_file = node.root / "state/pki/node.key"
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    assert key.public_key() == node.certificate().public_key()
    for path in (node.root / "state").rglob("*"):
        if not path.is_symlink():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert not list((node.root / "state").glob("work.*"))


def test_a_second_boot_asks_for_nothing(node: Node, api: Api) -> None:
    api.answers[FIRST] = [node.sign]
    assert node.run("first-certificate").returncode == 0
    assert node.run("first-certificate").returncode == 0
    assert len(api.bodies(FIRST)) == 1
    assert node.calls == ["installed", "installed"]


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_refusal_ends_with_the_reason(node: Node, api: Api, status: int) -> None:
    api.answers[FIRST] = [(status, {"errors": [{"detail": "The secret\ndoes not match."}]}, "")]
    done = node.run("first-certificate")
    assert done.returncode == 1
    assert len(api.bodies(FIRST)) == 1
    reason = (node.root / "state/agent-error").read_text().strip()
    assert reason == f"certificate refused ({status}): The secret does not match."


def test_a_foreign_authoritys_certificate_is_not_taken(node: Node, api: Api) -> None:
    other = Authority("other")
    api.answers[FIRST] = [lambda body: (201, {"pem": other.sign(body["csr"])}, "")]
    assert node.run("first-certificate").returncode == 1
    assert not (node.root / "state/pki/node.crt").exists()
    assert node.calls == []


def test_a_certificate_for_another_key_is_not_taken(node: Node, api: Api) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(node.authority.name).sign(key, hashes.SHA256())
    stolen = node.authority.sign(csr.public_bytes(serialization.Encoding.PEM).decode())
    api.answers[FIRST] = [(201, {"pem": stolen}, "")]
    assert node.run("first-certificate").returncode == 1
    assert not (node.root / "state/pki/node.crt").exists()


@pytest.fixture
def ready(node: Node, api: Api) -> Node:
    """A node with its first certificate."""
    api.answers[FIRST] = [node.sign]
    assert node.run("first-certificate").returncode == 0
    api.asked.clear()
    (node.root / "calls").unlink()
    api.answers["PUT /v1/nodes/self"] = [(204, {}, "")]
    return node


def test_a_look_reports_health_and_revision_and_the_next_one_is_304(ready: Node, api: Api) -> None:
    wishes = {"revision": "7", "ca_pem": ready.authority.pem, "renew": False, "operation_active": False}
    api.answers[SELF] = [(200, wishes, '"v7"'), (304, {}, '"v7"')]
    assert ready.run("run").returncode == 0
    assert ready.run("run").returncode == 0
    reports = api.bodies("PUT /v1/nodes/self")
    assert reports == [{"healthy": True, "revision": "7", "units": {"docker": "active", "kubelet": "active"}}] * 2
    tags = [headers.get("If-None-Match") for name, _, headers in api.asked if name == SELF]
    assert tags == [None, '"v7"']
    assert not [call for call in ready.calls if "restart" in call or call == "installed"]


def test_a_renewal_has_a_new_key_and_no_secret_and_restarts_the_units(ready: Node, api: Api) -> None:
    before = ready.certificate()
    api.answers[SELF] = [(200, {"revision": "8", "renew": True}, '"v8"')]
    assert ready.run("run").returncode == 0
    (body,) = api.bodies(FIRST)
    assert "secret" not in body
    assert ready.certificate().public_key() != before.public_key()
    assert [call for call in ready.calls if not call.startswith("is-active")] == ["installed", "try-restart kubelet"]
    assert len(list((ready.root / "state/pki").glob("pair.*"))) == 1


def test_new_authorities_are_taken(ready: Node, api: Api) -> None:
    both = ready.authority.pem + Authority("next").pem
    api.answers[SELF] = [(200, {"revision": "9", "ca_pem": both}, '"v9"')]
    assert ready.run("run").returncode == 0
    assert (ready.root / "state/pki/ca.crt").read_text().strip() == both.strip()
    assert "try-restart kubelet" in ready.calls


def test_a_failed_renewal_is_tried_again_next_time(ready: Node, api: Api) -> None:
    old = ready.certificate()
    api.answers[SELF] = [(200, {"revision": "8", "renew": True}, '"v8"')]
    api.answers[FIRST] = [(503, {}, ""), ready.sign]
    assert ready.run("run").returncode == 1
    assert ready.certificate() == old
    assert ready.run("run").returncode == 0
    assert ready.certificate() != old


def test_an_api_that_is_away_changes_nothing(ready: Node, api: Api) -> None:
    api.answers[SELF] = [(503, {}, "")]
    assert ready.run("run").returncode == 0
    assert ready.calls == []
