"""The gateway as a process of its own over a real Postgres, the simulated cloud and the certificate authority."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx

from shared.db.migrate import upgrade
from shared.runtime.child import bound
from shared.runtime.sealing import generate_keypair
from tests.support.database import as_role
from tests.support.servers import database_url, postgres_url

VERSION = "OpenStack-API-Version"
LATEST = {VERSION: "container-infra latest"}


@dataclass
class System:
    """What a test talks to. Users' passwords are their names (cloudsim's README)."""

    dsn: str
    api_url: str
    cloud_url: str
    home: Path
    private_key: str

    def __post_init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._http = httpx.Client(base_url=self.api_url, timeout=40)

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str | None = "demo",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        version: str | None = None,
    ) -> httpx.Response:
        """One request; `version` is a minor microversion ("2"), None sends no header."""
        all_headers = dict(headers or {})
        if user is not None:
            all_headers["X-Auth-Token"] = self.token(user)
        if version is not None:
            all_headers[VERSION] = f"container-infra 1.{version}"
        content = raw if body is None else json.dumps(body).encode()
        return self._http.request(method, path, content=content, headers=all_headers)

    def token(self, user: str) -> str:
        """A token of the user in their home project, fetched once."""
        if user not in self._tokens:
            self._tokens[user] = self.login(
                {"methods": ["password"], "password": {"user": {**_named(user), "password": user}}}, user
            )
        return self._tokens[user]

    def login(self, identity: object, user: str | None = None) -> str:
        """A token by any way that Keystone knows."""
        auth: dict[str, object] = {"identity": identity}
        if user is not None:
            auth["scope"] = {"project": _named({"reader": "demo", "jeroboam": "service"}.get(user, user))}
        answer = httpx.post(f"{self.cloud_url}/identity/v3/auth/tokens", json={"auth": auth})
        answer.raise_for_status()
        return str(answer.headers["X-Subject-Token"])

    def control(self, method: str, path: str, body: object = None) -> Any:
        """The hand behind the simulated cloud."""
        answer = httpx.request(method, f"{self.cloud_url}/control{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def sql(self, query: str, *values: object) -> list[Any]:
        """Rows, as the administrator of the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    def baymodel(self, user: str = "demo", **other: object) -> dict[str, Any]:
        """A baymodel, made."""
        answer = self.call("POST", "/v1/baymodels", {**MODEL, "name": unique("model"), **other}, user=user)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def bay(self, user: str = "demo", **other: object) -> dict[str, Any]:
        """A bay, accepted, of a baymodel of its own unless one is named."""
        if "baymodel_id" not in other:
            other["baymodel_id"] = self.baymodel(user)["uuid"]
        answer = self.call("POST", "/v1/bays", {"name": unique("bay"), **other}, user=user)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


MODEL: dict[str, object] = {
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "flavor_id": "m1.small",
    "docker_volume_size": 5,
}


def unique(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def detail(answer: httpx.Response) -> str:
    """The sentence of a refusal, in Magnum's shape."""
    errors = answer.json()["errors"]
    assert len(errors) == 1
    error = errors[0]
    assert error["status"] == answer.status_code
    assert error["request_id"] == ""
    assert error["links"] == []
    assert error["title"] == error["detail"].partition(".")[0]
    return str(error["detail"])


def _named(name: str) -> dict[str, object]:
    return {"name": name, "domain": {"id": "default"}}


@contextmanager
def database() -> Iterator[str]:
    """A migrated database, dropped at the end; outside a running loop."""
    name = f"api_{uuid.uuid4().hex}"
    asyncio.run(administer(f"CREATE DATABASE {name}"))
    try:
        upgrade(database_url(name))
        yield database_url(name)
    finally:
        asyncio.run(administer(f"DROP DATABASE {name} WITH (FORCE)"))


async def administer(statement: str) -> None:
    """A statement on the server, as its superuser."""
    connection = await asyncpg.connect(postgres_url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def running(dsn: str, home: Path, **api_settings: str) -> Iterator[System]:
    """Everything, ended at the end."""
    with ExitStack() as children:
        cloud_port = home / "cloud.port"
        children.enter_context(
            _child(["-m", "cloudsim", "--port", "0", "--port-file", str(cloud_port)], os.environ, home / "cloud.log")
        )
        cloud_url = f"http://127.0.0.1:{_wait_for(cloud_port, home / 'cloud.log').strip()}"
        public, private = generate_keypair()
        (home / "seal.pub").write_text(public)
        (home / "master.key").touch(mode=0o600)
        (home / "master.key").write_text(base64.b64encode(bytes(32)).decode())
        common = {
            **{key: value for key, value in os.environ.items() if not key.startswith("JEROBOAM_")},
            "JEROBOAM_KEYSTONE_URL": f"{cloud_url}/identity/v3",
            "JEROBOAM_SERVICE_PASSWORD": "jeroboam",
            "JEROBOAM_EGRESS_ALLOW": "127.0.0.0/8",
        }
        certs = {
            **common,
            "JEROBOAM_DATABASE_URL": as_role(dsn, "jb_certs"),
            "JEROBOAM_MASTER_KEY_FILE": str(home / "master.key"),
            "JEROBOAM_READY_FILE": str(home / "certs.ready"),
        }
        api = {
            **common,
            "JEROBOAM_DATABASE_URL": as_role(dsn, "jb_api"),
            "JEROBOAM_PORT": "0",
            "JEROBOAM_PORT_FILE": str(home / "api.port"),
            "JEROBOAM_SEAL_PUBLIC_KEY_FILE": str(home / "seal.pub"),
            "JEROBOAM_BAYS_PER_PROJECT": "1000",
            "JEROBOAM_REFUSED_CSRS": "100000",  # most tests here ask for what is refused
            **api_settings,
        }
        children.enter_context(_child(["-m", "services.certs"], certs, home / "certs.log"))
        children.enter_context(_child(["-m", "services.api"], api, home / "api.log"))
        port = _wait_for(home / "api.port", home / "api.log")
        _wait_for(home / "certs.ready", home / "certs.log")
        system = System(dsn, f"http://127.0.0.1:{port}", cloud_url, home, private)
        try:
            yield system
        finally:
            system.close()


@contextmanager
def _child(arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            bound([sys.executable, *arguments]), env=dict(environment), stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(file: Path, log: Path) -> str:
    give_up = time.monotonic() + 60
    while not file.exists() or not file.read_text():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{file.name} was not written: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return file.read_text()
