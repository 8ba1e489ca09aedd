"""The API as the node agent meets it: a real HTTP server that issues, checks signatures, and misbehaves when told."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from typing_extensions import override

from tests.drivers.agent_pki import Authority, seal

SERVER_ID = "eb08c203-24a5-410f-aef4-876b1079fc3e"
SECRET = "s3cret" * 10
FIRST = "POST /v1/bays/b1/node-certificates"
SELF = "GET /v1/nodes/self"
REPORT = "PUT /v1/nodes/self"
CREDENTIAL = "GET /v1/nodes/self/credential"

Reply = tuple[int, dict[str, Any], dict[str, str]]


@dataclass(frozen=True)
class Request:
    """One call. `proven` says whether its three headers prove the holder of a certificate of ours."""

    line: str
    body: bytes
    headers: dict[str, str]
    proven: bool

    @property
    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body or b"{}")
        return read


@dataclass
class Api:
    """By default it issues once per server, the same answer for the same CSR, and renews for who proves the key.

    `scripted` holds answers to give before that, in order, by request line.
    """

    kubernetes: Authority = field(default_factory=lambda: Authority("kubernetes"))
    etcd: Authority = field(default_factory=lambda: Authority("etcd"))
    before: Authority | None = None
    """Kubernetes' authority before a rotation that goes on."""
    front_proxy: Authority = field(default_factory=lambda: Authority("front proxy"))
    profiles: Mapping[str, str] = field(default_factory=dict)
    """Profile to kind of authority."""
    shared: dict[str, str] = field(default_factory=dict)
    credential: Callable[[str], dict[str, Any] | None] = lambda certificate: None
    """The letter that waits for the node with that certificate (PEM)."""
    change_answer: Callable[[dict[str, Any], str], None] = lambda answer, csr: None
    wishes: dict[str, Any] = field(default_factory=dict)
    scripted: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    issued: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""

    def of(self, line: str) -> list[Request]:
        return [request for request in self.asked if request.line == line]

    def bodies(self, line: str) -> list[dict[str, Any]]:
        return [request.json for request in self.of(line)]

    def reply(self, request: Request) -> Reply:
        self.asked.append(request)
        if self.scripted.get(request.line):
            return self.scripted[request.line].pop(0)
        if request.line == "GET /meta_data.json":
            return 200, {"uuid": SERVER_ID}, {}
        if request.line == FIRST:
            return self.issue(request)
        if not request.proven:
            return refusal(401, "The signature does not prove this node.")
        if request.line == REPORT:
            return 204, {}, {}
        if request.line == CREDENTIAL:
            shown = base64.b64decode(request.headers["X-Jeroboam-Certificate"]).decode()
            letter = self.credential(shown)
            return (200, letter, {}) if letter else refusal(404, "Nothing waits.")
        return self.tell(request)

    def issue(self, request: Request) -> Reply:
        body = request.json
        if not request.proven and body.get("secret") != SECRET:
            return refusal(403, "The secret\ndoes not match.")
        if not request.proven and self.issued and body["csr"] not in self.issued:
            return refusal(403, "This server has its first certificate already.")
        if body["csr"] not in self.issued:
            self.issued[body["csr"]] = self.answer(body["csr"])
        return 201, self.issued[body["csr"]], {}

    def answer(self, csr: str) -> dict[str, Any]:
        authorities = {"kubernetes": self.kubernetes, "etcd": self.etcd, "front_proxy": self.front_proxy}
        answer: dict[str, Any] = {
            "pem": self.kubernetes.sign(csr),
            "certificates": {name: authorities[kind].sign(csr) for name, kind in self.profiles.items()},
            "authorities": {name: authority.pem for name, authority in authorities.items()},
        }
        if self.shared:
            answer["shared"] = seal(self.shared, answer["pem"])
        self.change_answer(answer, csr)
        return answer

    def tell(self, request: Request) -> Reply:
        tag = f'"{hashlib.sha256(json.dumps(self.wishes).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return 304, {}, {"ETag": tag}
        return 200, self.wishes, {"ETag": tag}

    def proven(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
        """As docs/driver-contract.md says: certificate, time, and a signature over method, path, time and body."""
        try:
            certificate = x509.load_pem_x509_certificate(base64.b64decode(headers["X-Jeroboam-Certificate"]))
            sent = headers["X-Jeroboam-Time"]
            signature = base64.b64decode(headers["X-Jeroboam-Signature"], validate=True)
        except KeyError:
            return False
        trusted = any(authority.signed(certificate) for authority in (self.kubernetes, self.before) if authority)
        if not trusted or abs(time.time() - int(sent)) > 300:
            return False
        text = f"{method}\n{path}\n{sent}\n{hashlib.sha256(body).hexdigest()}\n".encode()
        key = certificate.public_key()
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
            else:
                assert isinstance(key, rsa.RSAPublicKey)
                key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def refusal(status: int, detail: str) -> Reply:
    return status, {"errors": [{"status": status, "detail": detail}]}, {}


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """The API on a port of the loopback that the kernel chose. Also a plain HTTP proxy to itself."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers)
            path = "/" + self.path.split("://", 1)[-1].split("/", 1)[1]
            proven = api.proven(self.command, path, headers, body)
            status, answer, more = api.reply(Request(f"{self.command} {path}", body, headers, proven))
            data = json.dumps(answer).encode() if status not in (204, 304) else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 # the names that http.server looks for

        @override
        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
