"""People of the simulated cloud, by the hand of its administrator: roles given and taken, users deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import httpx
from pydantic import SecretStr

from services.cli.stack import LOOPBACK, LocalStack
from shared.client.api import JeroboamClient
from shared.client.login import Credentials


@dataclass(frozen=True)
class People:
    """Keystone as its administrator sees it."""

    http: httpx.AsyncClient
    stack: LocalStack

    @classmethod
    async def of(cls, stack: LocalStack) -> Self:
        """Log in as admin."""
        admin = {"name": "admin", "password": "admin", "domain": {"id": "default"}}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": admin}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
        http = httpx.AsyncClient(base_url=stack.keystone_url, timeout=30)
        answer = await http.post("/auth/tokens", json={"auth": auth})
        answer.raise_for_status()
        http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        return cls(http, stack)

    async def id_of(self, kind: str, name: str) -> str:
        """The id of one of `users`, `projects` or `roles`."""
        found: list[dict[str, Any]] = (await self.http.get(f"/{kind}")).json()[kind]
        return str(next(one["id"] for one in found if one["name"] == name))

    async def let_in(self, user: str, project: str, role: str = "member") -> JeroboamClient:
        """Give the user a role in the project; a client of theirs there."""
        ids = [await self.id_of(*one) for one in (("projects", project), ("users", user), ("roles", role))]
        (await self.http.put("/projects/{}/users/{}/roles/{}".format(*ids))).raise_for_status()
        credentials = Credentials(username=user, password=SecretStr(user), project=project)
        return JeroboamClient.connect(self.stack.keystone_url, credentials, api_url=self.stack.api_url, egress=LOOPBACK)

    async def delete(self, user: str) -> None:
        """The user, with all that hangs on them."""
        (await self.http.delete(f"/users/{await self.id_of('users', user)}")).raise_for_status()

    async def our_role(self, method: str) -> None:
        """Give (PUT) or take (DELETE) the role that our service user has in every project of the domain."""
        user, role = await self.id_of("users", "jeroboam"), await self.id_of("roles", "member")
        path = f"/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects"
        (await self.http.request(method, path)).raise_for_status()

    async def credentials(self) -> set[str]:
        """Names of all application credentials that nodes may have."""
        found = httpx.get(f"{self.stack.control_url}/state?kind=application_credential").json()
        records = found.get("records", {}).get("application_credential", [])
        return {one["name"] for one in records if one["name"].startswith("jeroboam-")}
