"""A real swarm: two dockerds with TLS, each in a network namespace and with a host name of its own.

The API's door is a socket of this machine's loopback that dockerd is handed when it starts, so that clients need not be
in its namespace. No node has a way out: docker uses the image that it is given, without asking a registry for long.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.native.servers import needed, remove
from tests.support.lab.network import Network
from tests.support.lab.shell import LabError, run

ROOT = Path(__file__).parents[2]
IMAGE = "jeroboam/sleep"
_BEGIN = """
import os, socket, sys
socket.sethostname(sys.argv[1])
os.dup2(int(sys.argv[2]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execvp("dockerd", ["dockerd", *sys.argv[3:]])
"""
"""What systemd does for a service with a socket."""


class Authority:
    """Who signs the swarm's certificates."""

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._own = self._builder(self._name, self._key).add_extension(basic, critical=True).sign(self._key, SHA256())

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return self._own.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, *addresses: str) -> tuple[str, str]:
        """A certificate and its key, PEM."""
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key)
        if addresses:
            alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses])
            builder = builder.add_extension(alternative, critical=False)
        signed = builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode()
        return signed, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def _builder(self, subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(hours=1))


@dataclass(frozen=True)
class Docker:
    """One dockerd; `port` is where 127.0.0.1 reaches its API."""

    name: str
    folder: Path
    port: int
    process: asyncio.subprocess.Process

    async def run(self, *words: str) -> str:
        """Run `docker WORDS…` on it, as root on the node would."""
        return (await run("docker", "--host", f"unix://{self.folder}/sock", *words)).strip()

    async def service(self, name: str, *options: str) -> None:
        """Begin a service that sleeps, and that ends at once when it is told to."""
        common = ("--quiet", "--detach", "--no-resolve-image", "--stop-signal", "KILL", "--name", name)
        await self.run("service", "create", *common, *options, IMAGE, "/bin/sleep", "1000")

    async def tasks(self, name: str) -> list[dict[str, Any]]:
        """What docker itself says of a service's tasks that have not ended."""
        told = await self.run("service", "ps", "--filter", "desired-state=running", "--format", "{{json .}}", name)
        return [json.loads(line) for line in told.splitlines()]

    async def end(self) -> None:
        """End it and wait for that."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(20):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass(frozen=True)
class Swarm:
    """A manager `m0` and a worker `w0`."""

    manager: Docker
    worker: Docker
    authority: Authority

    async def clear(self) -> None:
        """End all services, and wait for their containers, which would hold dockerd up."""
        names = (await self.manager.run("service", "ls", "--quiet")).split()
        if names:
            await self.manager.run("service", "rm", *names)
        for docker in (self.manager, self.worker):
            while await docker.run("ps", "--quiet"):
                await asyncio.sleep(0.2)


@asynccontextmanager
async def swarm() -> AsyncIterator[Swarm]:
    """A swarm of two nodes while the body runs."""
    folder = Path(tempfile.mkdtemp(prefix="jb-sw-", dir="/tmp"))  # its sockets need a short name
    authority, mark = Authority(), folder.name
    async with AsyncExitStack() as cleanup:
        cleanup.callback(remove, folder)
        network = Network(mark)
        cleanup.push_async_callback(network.down)
        await network.up()
        image = _image(folder)
        found = list[Docker]()
        for name, address in (("m0", "10.0.0.4"), ("w0", "10.0.0.5")):
            namespace = f"{mark}-{name}"
            await network.attach(namespace, address)
            await run("ip", "-n", namespace, "route", "del", "default")
            docker = await _begin(folder / name, name, namespace, authority)
            cleanup.push_async_callback(docker.end)
            found.append(docker)
        manager, worker = found
        for docker in found:
            await _ready(docker)
            await docker.run("import", str(image), IMAGE)
        await manager.run("swarm", "init", "--advertise-addr", "10.0.0.4", "--default-addr-pool", "172.31.0.0/16")
        token = await manager.run("swarm", "join-token", "--quiet", "worker")
        await worker.run("swarm", "join", "--token", token, "--advertise-addr", "10.0.0.5", "10.0.0.4:2377")
        made = Swarm(manager, worker, authority)
        cleanup.push_async_callback(made.clear)
        yield made


async def _begin(folder: Path, name: str, namespace: str, authority: Authority) -> Docker:
    folder.mkdir()
    certificate, key = authority.issue(name, "127.0.0.1")
    for file, content in (("ca", authority.pem), ("cert", certificate), ("key", key)):
        (folder / file).write_text(content)
    options = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    options += ["--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    options += ["--host", f"unix://{folder}/sock", "--host", "fd://", "--tlsverify", "--tlscacert", f"{folder}/ca"]
    options += ["--tlscert", f"{folder}/cert", "--tlskey", f"{folder}/key"]
    options += ["--add-runtime", f"jb={ROOT}/deploy/prove/bin/runc", "--default-runtime", "jb"]
    with socket.create_server(("127.0.0.1", 0)) as door, (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *("nsenter", f"--net=/run/netns/{namespace}", "unshare", "--uts", sys.executable, "-I", "-S", "-c", _BEGIN),
            *(name, str(door.fileno()), *options),
            env=os.environ | {"JEROBOAM_PROVE_RUNC": needed("runc")},
            pass_fds=[door.fileno()],
            stdout=log,
            stderr=log,
        )
        return Docker(name, folder, door.getsockname()[1], process)


async def _ready(docker: Docker) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await docker.run("version")
            except LabError:
                if docker.process.returncode is not None:
                    said = (docker.folder / "log").read_text()[-2000:]
                    raise AssertionError(f"dockerd did not start:\n{said}") from None
                await asyncio.sleep(0.1)
            else:
                return


def _image(folder: Path) -> Path:
    """The smallest image in which `sleep` runs, as a tar."""
    program = Path(shutil.which("sleep") or "/bin/sleep").resolve()
    found = {"bin/sleep": program, **{str(one).lstrip("/"): one for one in _libraries(program)}}
    with tarfile.open(folder / "image.tar", "w") as tar:
        for name, path in found.items():
            tar.add(path.resolve(), name)
    return folder / "image.tar"


def _libraries(program: Path) -> list[Path]:
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(word) for line in told.splitlines() for word in line.split() if word.startswith("/")]
