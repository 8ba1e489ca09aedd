"""The processes: Postgres and RabbitMQ once, gateway and authority anew for each bus."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from benchmarks.signing.load import Target
from shared.db.migrate import upgrade
from shared.runtime.child import bound
from shared.runtime.postgres import EmbeddedPostgres
from tests.support.rabbit import OwnRabbit, start_rabbit


@dataclass(frozen=True)
class Servers:
    """What both runs share."""

    home: Path
    dsn: str
    amqp_url: str
    cloud_url: str
    pids: Mapping[str, int]


@dataclass(frozen=True)
class Rig:
    """Gateway and authority on one bus, and a bay whose authorities are made."""

    target: Target
    pids: Mapping[str, int]
    loop: Path
    take: Path

    def lag(self, since: float) -> tuple[float, float]:
        """The worst lag of the authority's event loop and the longest taking of a key since then, in ms."""
        lines = [[float(word) for word in line.split()] for line in self.loop.read_text().splitlines()]
        late = [line for line in lines if line[0] >= since]
        return 1000 * max((line[1] for line in late), default=0.0), 1000 * max((line[2] for line in late), default=0.0)


@contextmanager
def servers(home: Path) -> Iterator[Servers]:
    """Postgres with its guarantees on, RabbitMQ and the simulated cloud."""
    with ExitStack() as opened:
        postgres = opened.enter_context(EmbeddedPostgres(home / "postgres"))
        dsn = postgres.start()
        upgrade(dsn)
        rabbit = start_rabbit()
        opened.callback(rabbit.stop)
        _, port = opened.enter_context(
            _child("cloudsim", ["--port", "0", "--port-file", str(home / "cloud")], {}, home)
        )
        pids = {"Postgres": postgres.pid or 0}
        if isinstance(rabbit, OwnRabbit):
            pids["RabbitMQ"] = rabbit.pid
        yield Servers(home, dsn, rabbit.url, f"http://127.0.0.1:{port}", pids)


@contextmanager
def rig(shared: Servers, bus: str, profile: Path | None) -> Iterator[Rig]:
    """The two processes on `bus` ("rabbitmq" or "postgres"); `profile`: where profiles go."""
    home = shared.home / f"on-{bus}"
    home.mkdir()
    (home / "master.key").touch(0o600)
    (home / "master.key").write_text(base64.b64encode(os.urandom(32)).decode())
    common = {
        "JEROBOAM_KEYSTONE_URL": f"{shared.cloud_url}/identity/v3",
        "JEROBOAM_SERVICE_PASSWORD": "jeroboam",
        "JEROBOAM_EGRESS_ALLOW": "127.0.0.0/8",
        "JEROBOAM_LOG_LEVEL": "WARNING",
        **({"JEROBOAM_AMQP_URL": shared.amqp_url} if bus == "rabbitmq" else {}),
    }
    certs_settings = {
        **common,
        "JEROBOAM_DATABASE_URL": _as(shared.dsn, "jb_certs"),
        "JEROBOAM_MASTER_KEY_FILE": str(home / "master.key"),
        "JEROBOAM_READY_FILE": str(home / "certs"),
    }
    api_settings = {
        **common,
        "JEROBOAM_DATABASE_URL": _as(shared.dsn, "jb_api"),
        "JEROBOAM_PORT": "0",
        "JEROBOAM_PORT_FILE": str(home / "api"),
    }
    with (
        _child("benchmarks.signing.certs", [str(home)], certs_settings, home, "certs", profile) as (certs, _),
        _child("services.api", [], api_settings, home, "api", profile) as (api, port),
    ):
        pids = {"gateway": api, "authority": certs, **shared.pids, "clients": os.getpid()}
        yield Rig(_target(int(port), shared.cloud_url, bus), pids, home / "loop", home / "take")


@contextmanager
def _child(
    module: str, arguments: list[str], settings: Mapping[str, str], home: Path, told: str = "cloud",
    profile: Path | None = None,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """A process of ours that writes the file `told` once it is ready: its pid, and what it wrote."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("JEROBOAM_")}
    ready, log = home / told, home / f"{told}.log"
    profiled = ["benchmarks.signing.profiled", str(profile / f"{home.name}-{told}.prof")] if profile else []
    command = [sys.executable, "-m", *profiled, module, *arguments]
    with log.open("ab") as output:
        process = subprocess.Popen(bound(command), env={**inherited, **settings}, stdout=output, stderr=output)
    try:
        give_up = time.monotonic() + 60
        while not ready.exists() or not ready.read_text():
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"{module} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid, ready.read_text().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _target(port: int, cloud_url: str, bus: str) -> Target:
    """A bay with its authorities; its servers are never made, for nobody is there to make them."""
    user = {"name": "demo", "domain": {"id": "default"}}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": {**user, "password": "demo"}}},
        "scope": {"project": user},
    }
    with _call(f"{cloud_url}/identity/v3/auth/tokens", {"auth": auth}) as answer:
        token = str(answer.headers["X-Subject-Token"])
    base = f"http://127.0.0.1:{port}/v1"
    model = {
        "name": bus, "coe": "kubernetes", "image_id": "fedora-21-atomic-5", "keypair_id": "testkey",
        "external_network_id": "public", "flavor_id": "m1.small", "docker_volume_size": 5,
    }  # fmt: skip
    with _call(f"{base}/baymodels", model, token) as answer:
        baymodel_id = json.load(answer)["uuid"]
    with _call(f"{base}/bays", {"name": bus, "baymodel_id": baymodel_id}, token) as answer:
        bay_id = str(json.load(answer)["uuid"])
    give_up = time.monotonic() + 30
    while True:
        try:
            _call(f"{base}/certificates/{bay_id}", None, token).close()
        except urllib.error.HTTPError as error:
            if time.monotonic() > give_up:
                raise SystemExit(f"the bay got no authority: {error.read().decode()}") from None
            time.sleep(0.1)
        else:
            return Target(port, token, bay_id)


def _call(url: str, body: object, token: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})}
    return urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=20)


def _as(dsn: str, role: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit((parts.scheme, f"{role}@{parts.netloc.rpartition('@')[2]}", parts.path, parts.query, ""))
