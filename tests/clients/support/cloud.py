"""The gateway and the simulated cloud over plain HTTP: what the clients' tests prepare, wait for and look at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from services.cli.stack import PROJECT_OF, LocalStack

WAIT = 60.0
"""Seconds within which a bay must come to rest."""

TEMPLATE: dict[str, object] = {
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "flavor_id": "m1.small",
    "master_flavor_id": "m1.small",
    "network_driver": "flannel",
    "docker_volume_size": 5,
}


class Cloud:
    """A context manager; `http` is a bare client, `call` is one of the gateway's API with a token."""

    def __init__(self, stack: LocalStack) -> None:
        self.keystone_url = stack.keystone_url
        self.control_url = stack.control_url
        self.api_url = stack.api_url
        self.http = httpx.Client(trust_env=False, timeout=30)
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()

    def token(self, user: str = "demo") -> str:
        """A token of this user in its project."""
        if user not in self._tokens:
            domain = {"name": "Default"}
            who = {"name": user, "password": user, "domain": domain}
            scope = {"project": {"name": PROJECT_OF[user], "domain": domain}}
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
            answer = self.http.post(f"{self.keystone_url}/auth/tokens", json=body)
            self._tokens[user] = answer.headers["X-Subject-Token"]
        return self._tokens[user]

    def project(self, user: str = "demo") -> str:
        """The id of the project that this user works in."""
        headers = {"X-Auth-Token": self.token(user), "X-Subject-Token": self.token(user)}
        answer = self.http.get(f"{self.keystone_url}/auth/tokens", headers=headers)
        return str(answer.json()["token"]["project"]["id"])

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        version: str | None = None,
        user: str = "demo",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request below `/v1`; `version` as in the header (`container-infra latest`), absent when None."""
        asked = {"X-Auth-Token": self.token(user), "Accept": "application/json", **(headers or {})}
        if version is not None:
            asked["OpenStack-API-Version"] = version
        address = path if path.startswith("http") else f"{self.api_url}{path}"
        return self.http.request(method, address, headers=asked, json=body)

    def template(self, name: str, **fields: object) -> str:
        """A cluster template (a baymodel), made by the plainest request; its uuid."""
        answer = self.call("POST", "/baymodels", {**TEMPLATE, "name": name, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["uuid"])

    def bay(self, name: str, template: str, **fields: object) -> str:
        """A bay that has come to rest in CREATE_COMPLETE; its uuid."""
        answer = self.call("POST", "/bays", {"name": name, "baymodel_id": template, "node_count": 1, **fields})
        assert answer.status_code == 201, answer.text
        uuid = str(answer.json()["uuid"])
        assert self.settled(uuid) == "CREATE_COMPLETE", self.show(uuid)
        return uuid

    def show(self, bay: str, user: str = "demo") -> dict[str, Any]:
        """A bay, whole; empty when it is gone."""
        answer = self.call("GET", f"/bays/{bay}", user=user)
        return {} if answer.status_code == 404 else dict(answer.json())

    def settled(self, bay: str, user: str = "demo") -> str:
        """The bay's status once nothing is under way; "" once it is gone."""
        give_up = time.monotonic() + WAIT
        while time.monotonic() < give_up:
            status = str(self.show(bay, user).get("status", ""))
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.1)
        raise TimeoutError(f"bay {bay} did not come to rest: {self.show(bay, user)}")

    def remove(self, bay: str) -> None:
        """Take a bay down; nobody waits for it."""
        self.call("DELETE", f"/bays/{bay}")

    def control(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Ask the simulated cloud's control door."""
        answer = self.http.request(method, f"{self.control_url}{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None
