"""A RabbitMQ of the tests' own: from `AMQP_URL`, from Debian's package started by hand, or in Docker.

Started by hand because the package's wrapper wants the user `rabbitmq` and the machine's own directories. Everything
is private: home and cookie, node name, data, ports below the ephemeral range, and an epmd that is our child. Broker
and epmd are one process each and die with this one.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from typing_extensions import override

from shared.runtime.child import bound
from shared.runtime.ports import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_LIMIT = 90.0
FOUR_WAYS = (
    "RabbitMQ is not available. Four ways to get it: set AMQP_URL to a running broker; install it "
    "(apt-get install --no-install-recommends rabbitmq-server); run the tests as root on Debian, which installs it; "
    "or have a working Docker engine."
)


class NotAvailable(Exception):
    """A server that the tests need cannot be had; the message says what would help."""


class Rabbit(ABC):
    """A broker that can be killed and brought back with the same data, on the same URL."""

    url: str

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL, as a power cut: nothing is flushed that was not confirmed."""

    @abstractmethod
    def restart(self) -> None:
        """Start again after `kill`, with the same data; returns when the broker answers."""

    @abstractmethod
    def stop(self) -> None:
        """End it and remove its data."""


class GivenRabbit(Rabbit):
    """The broker of `AMQP_URL`: used as it is, never killed."""

    def __init__(self, url: str) -> None:
        self.url = url

    @override
    def kill(self) -> None:
        raise NotAvailable("The broker of AMQP_URL is not the tests' to kill.")

    @override
    def restart(self) -> None:
        raise NotAvailable("The broker of AMQP_URL is not the tests' to restart.")

    @override
    def stop(self) -> None:
        """Not ours: it stays."""


class OwnRabbit(Rabbit):
    """Debian's programs with everything of their own."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="jeroboam-rabbit-"))
        self._port, self._dist_port, self._epmd_port = free_port(), free_port(), free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/"
        (self._home / "plugins").write_text("[].\n")
        (self._home / "rabbitmq.conf").write_text("log.console = true\nlog.console.level = warning\n")
        try:
            self.restart()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The broker's process."""
        assert self._broker is not None
        return self._broker.pid

    @override
    def restart(self) -> None:
        if self._epmd is None:
            epmd = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = self._spawn(epmd)
        self._broker = self._spawn([str(SERVER), "-noinput"])
        give_up = time.monotonic() + START_LIMIT
        while not answers(self._port):
            if self._broker.poll() is not None or time.monotonic() > give_up:
                raise NotAvailable(f"RabbitMQ did not start: {(self._home / 'output').read_text()[-800:]}")
            time.sleep(0.1)

    @override
    def kill(self) -> None:
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()

    @override
    def stop(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._home / "output").open("ab") as output:
            return subprocess.Popen(
                bound(command, signal.SIGKILL), env=self._environment(), cwd=self._home,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": home,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"jeroboam-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_ALLOW_INPUT": "1",  # the script then becomes the broker: our child is the broker itself
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false +S 2:2 -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }


class DockerRabbit(Rabbit):
    """The official image in a container of its own."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self._port = port
        self._id = _docker("run", "--detach", "--publish", f"127.0.0.1:{port}:5672", "rabbitmq:4").strip()
        self._wait()

    @override
    def kill(self) -> None:
        _docker("kill", self._id)

    @override
    def restart(self) -> None:
        _docker("start", self._id)
        self._wait()

    @override
    def stop(self) -> None:
        _docker("rm", "--force", "--volumes", self._id)

    def _wait(self) -> None:
        give_up = time.monotonic() + START_LIMIT
        while not answers(self._port):
            if time.monotonic() > give_up:
                self.stop()
                raise NotAvailable("RabbitMQ in Docker did not answer.")
            time.sleep(0.2)


def answers(port: int) -> bool:
    """Whether an AMQP broker greets on this loopback port (an open port alone says little: Docker opens it at once)."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"  # a method frame: Connection.Start
    return False


def start_rabbit() -> Rabbit:
    """The first way that works of the four in `FOUR_WAYS`.

    Raises:
        NotAvailable: none does.
    """
    given = os.environ.get("AMQP_URL")
    if given:
        return GivenRabbit(given)
    if not SERVER.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    if SERVER.exists() and shutil.which("epmd"):
        return OwnRabbit()
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return DockerRabbit()
    raise NotAvailable(FOUR_WAYS)


def _install() -> None:
    """Debian's package without starting a service (RUNLEVEL=1); a failure leaves the next way."""
    environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "rabbitmq-server"]
    for command in (["apt-get", "update"], install):
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotAvailable(f"docker {words[0]}: {done.stderr.strip()[-300:]}. {FOUR_WAYS}")
    return done.stdout
