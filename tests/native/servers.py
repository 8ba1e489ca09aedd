"""Servers of bays on the loopback, with certificates of the bay's own authorities: real etcd, real docker, and a TLS
server that speaks as much of Kubernetes as kubectl asks for. Each demands a client certificate."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Final
from urllib.parse import urlsplit

import pytest
from typing_extensions import override

from shared.runtime.ports import free_port
from tests.clients.support.cloud import Cloud
from tests.e2e.nodes import csr_of, key_pem, new_key
from tests.support.lab import machine

PATIENCE = 30.0
PAGES: Final[dict[str, dict[str, object]]] = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "linux/amd64"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "nodes", "singularName": "", "namespaced": False, "kind": "Node", "verbs": ["get", "list"]}
        ],
    },
    "/api/v1/nodes": {
        "kind": "NodeList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "pods-node-0"}}],
    },
}


@dataclass(frozen=True)
class Papers:
    """Files of a server: its certificate with the key, and the authorities whose clients it lets in."""

    certificate: Path
    key: Path
    authorities: Path


def needed(program: str) -> str:
    """Where a program is, or the test is skipped with a line that `make test` repeats at its end."""
    found = shutil.which(program) or next((str(one) for one in _in_node_images(program)), None)
    if found is None:
        pytest.skip(f"NOT RUN: native: {program} (not installed, nor in a node image)")
    return found


def remove(folder: Path) -> None:
    """What a dockerd that has ended leaves behind, a mount included, should it have been killed."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mounted], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _in_node_images(program: str) -> Iterator[Path]:
    return machine.home().glob(f"base-*/usr/bin/{program}")


def papers(cloud: Cloud, bay: str, folder: Path, address: str, kind: str = "kubernetes") -> Papers:
    """A server's papers, as anybody with a CSR gets them from a bay's authority of that kind."""
    key, folder = new_key(), Path(tempfile.mkdtemp(dir=folder))
    body = {"bay_uuid": bay, "csr": csr_of(key, "server", (), (address,)), "ca_cert_type": kind}
    signed = cloud.call("POST", "/certificates", body)
    assert signed.status_code == 201, signed.text
    made = Papers(folder / "server.pem", folder / "server-key.pem", folder / "clients.pem")
    made.certificate.write_text(signed.json()["pem"])
    made.key.write_bytes(key_pem(key))
    made.authorities.write_text(authorities(cloud, bay, kind))
    return made


def authorities(cloud: Cloud, bay: str, kind: str = "kubernetes") -> str:
    """The certificates of a bay's authority of that kind: one, or two during a rotation."""
    return str(cloud.call("GET", f"/certificates/{bay}?ca_cert_type={kind}").json()["pem"])


@dataclass
class Kubernetes:
    """An API server; `users` are the subjects of the certificates that came with requests."""

    users: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def kubernetes(address: str, own: Papers) -> Iterator[Kubernetes]:
    """An API server at a bay's `api_address` while the body runs."""
    found = Kubernetes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(own.authorities)
    context.verify_mode = ssl.CERT_REQUIRED

    class Handler(Quiet):
        def do_GET(self) -> None:
            subject = self.request.getpeercert()["subject"]
            found.users.append({name: value for part in subject for name, value in part})
            page = PAGES.get(urlsplit(self.path).path)
            self.answer(200 if page else 404, page or {"kind": "Status", "apiVersion": "v1", "code": 404})

    with listening(address, Handler, context):
        yield found


class Quiet(BaseHTTPRequestHandler):
    """Answers with JSON, and tells nobody: pytest shows what matters."""

    def answer(self, status: int, page: object) -> None:
        text = json.dumps(page).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    @override
    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingTCPServer):
    """Not `HTTPServer`, which asks the resolver for the names of its addresses."""

    allow_reuse_address = True
    daemon_threads = True
    context: ssl.SSLContext | None = None

    @override
    def get_request(self) -> tuple[socket.socket, object]:
        connection, peer = super().get_request()
        if self.context is not None:  # the handshake is the handler's: it holds up nobody else
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, peer

    @override
    def finish_request(self, request: object, client_address: object) -> None:
        """The handshake first; a refused client is heard to its end.

        With TLS 1.3 a client sends its request at once, before it can know that its certificate is refused. To close
        with that unread is a reset of the connection, which can overtake the alert that says why.
        """
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except ssl.SSLError:
                with socket.socket(fileno=request.detach()) as plain:
                    plain.settimeout(PATIENCE)
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(65536):
                        """What comes is of no interest."""
                raise
        super().finish_request(request, client_address)  # type: ignore[arg-type]  # typeshed leaves out TLS sockets

    @override
    def handle_error(self, *_: object) -> None:
        """A client that is refused ends its handshake: that is what some tests are about."""


@contextmanager
def listening(
    address: str, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[None]:
    """An HTTP server at a URL while the body runs."""
    place = urlsplit(address)
    with _Server((place.hostname or "", place.port or 0), handler) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def docker(address: str, own: Papers, folder: Path) -> Iterator[None]:
    """A real dockerd at a swarm's `api_address`; it wants root and makes no network."""
    place, at = Path(tempfile.mkdtemp(dir=folder)), urlsplit(address)
    command = [
        needed("dockerd"),
        "--data-root",
        f"{place}/data",
        "--exec-root",
        f"{place}/exec",
        "--pidfile",
        f"{place}/pid",
    ]
    command += ["--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    command += ["--host", f"tcp://{at.hostname}:{at.port}", "--tlsverify", "--tlscacert", str(own.authorities)]
    command += ["--tlscert", str(own.certificate), "--tlskey", str(own.key)]
    with _running(command, f"API listen on {at.hostname}"):
        yield


@contextmanager
def etcd(own: Papers, folder: Path) -> Iterator[str]:
    """A real etcd of one member, which lets nobody in without a certificate; its URL."""
    place, port = Path(tempfile.mkdtemp(dir=folder)), free_port()
    url, peer = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    command = [
        needed("etcd"),
        "--data-dir",
        f"{place}/data",
        "--listen-client-urls",
        url,
        "--advertise-client-urls",
        url,
    ]
    command += [
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
        "--initial-cluster",
        f"default={peer}",
    ]
    command += ["--cert-file", str(own.certificate), "--key-file", str(own.key)]
    command += ["--client-cert-auth", "--trusted-ca-file", str(own.authorities), "--unsafe-no-fsync"]
    with _running(command, "ready to serve client requests"):
        yield url


@contextmanager
def _running(command: Sequence[str], ready: str) -> Iterator[None]:
    """A program until the body ends, from when it says on its error stream that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    drain = threading.Thread(target=lambda: None)
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if ready in line:
                break
        else:
            raise AssertionError(f"{command[0]} did not start:\n{''.join(said[-20:])}")
        timer.cancel()
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()  # a full pipe would stop it
        yield
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if drain.ident is not None:
            drain.join()
        if process.stderr is not None:
            process.stderr.close()
