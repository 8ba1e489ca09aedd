"""A simulated cloud in virtual time, driven through its HTTP API as a client would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from cloudsim.app import create_app
from cloudsim.heat.engine import Engine, engine_of
from cloudsim.world import CloudsimSettings, World

DATA = Path(__file__).with_name("data")
BASE = "http://cloudsim.test"
FILES = {
    "kubemaster.yaml": (DATA / "kubemaster.yaml").read_text(),
    "kubeminion.yaml": (DATA / "kubeminion.yaml").read_text(),
    "fragments/write-heat-params.yaml": (DATA / "write-heat-params.yaml").read_text(),
    "fragments/configure-node.sh": (DATA / "configure-node.sh").read_text(),
}
CLUSTER = (DATA / "kubecluster.yaml").read_text()


class Heat:
    """A client of one project."""

    def __init__(self, world: World, client: httpx.AsyncClient, project_id: str) -> None:
        self.world, self.client, self.project_id = world, client, project_id

    @property
    def engine(self) -> Engine:
        """The engine, for what no API shows."""
        return engine_of(self.world)

    def url(self, path: str = "") -> str:
        """A path under the project."""
        return f"/orchestration/v1/{self.project_id}{path}"

    async def get(self, path: str, **params: Any) -> Any:
        """A GET that must succeed."""
        answer = await self.client.get(self.url(path), params=params, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create(self, name: str = "bay", **body: Any) -> httpx.Response:
        """POST a stack."""
        return await self.client.post(self.url("/stacks"), json={"stack_name": name, **body})

    async def make(self, name: str = "bay", **body: Any) -> str:
        """POST a stack that must be accepted; its id."""
        answer = await self.create(name, **body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["stack"]["id"])

    async def bay(self, name: str = "bay", *, wait: float = 30, tags: str | None = None, **parameters: Any) -> str:
        """Make a bay's stack and let time pass."""
        body: dict[str, Any] = {"tags": tags} if tags else {}
        stack_id = await self.make(name, **body, **bay(**parameters))
        await self.world.clock.advance(wait)
        return stack_id

    async def show(self, stack_id: str) -> dict[str, Any]:
        """One stack."""
        body = await self.get(f"/stacks/{stack_id}")
        found: dict[str, Any] = body["stack"]
        return found

    async def outputs(self, stack_id: str) -> dict[str, Any]:
        """Outputs by name."""
        return {one["output_key"]: one["output_value"] for one in (await self.show(stack_id))["outputs"]}

    async def resources(self, stack_id: str, depth: int = 3) -> list[dict[str, Any]]:
        """All resources."""
        body = await self.get(f"/stacks/{stack_id}/resources", nested_depth=depth)
        found: list[dict[str, Any]] = body["resources"]
        return found

    async def update(self, stack_id: str, *, method: str = "PUT", preview: bool = False, **body: Any) -> httpx.Response:
        """PUT or PATCH."""
        name = (await self.show(stack_id))["stack_name"]
        path = self.url(f"/stacks/{name}/{stack_id}") + ("/preview?show_nested=true" if preview else "")
        return await self.client.request(method, path, json=body)

    async def patch(self, stack_id: str, *, wait: float = 30, **parameters: Any) -> dict[str, Any]:
        """PATCH parameters, let time pass, and show the stack."""
        answer = await self.update(stack_id, method="PATCH", parameters=parameters)
        assert answer.status_code == 202, answer.text
        await self.world.clock.advance(wait)
        return await self.show(stack_id)

    async def delete(self, stack_id: str, wait: float = 30) -> None:
        """DELETE and let time pass."""
        name = (await self.show(stack_id))["stack_name"]
        answer = await self.client.delete(self.url(f"/stacks/{name}/{stack_id}"))
        assert answer.status_code == 204, answer.text
        await self.world.clock.advance(wait)

    def servers(self) -> dict[str, str]:
        """Server ids by name, as Nova has them."""
        return {record.attrs["name"]: record.id for record in self.world.store.list("server", self.project_id)}

    def listing(self) -> dict[str, int]:
        """How much there is of each kind."""
        return self.world.store.kinds()


def bay(**parameters: Any) -> dict[str, Any]:
    """The request of a bay's stack."""
    given = {"ssh_key_name": "testkey", "server_image": "fedora-21-atomic-5", **parameters}
    return {"template": CLUSTER, "files": FILES, "parameters": given}


def small(resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """A template of a few resources."""
    return {"template": {"heat_template_version": "2018-08-31", "resources": resources, **sections}}


def names(entries: Iterable[Mapping[str, Any]], type_name: str) -> list[str]:
    """Sorted `stack_name/resource_name` of preview entries of one type."""
    return sorted(f"{one['stack_name']}/{one['resource_name']}" for one in entries if one["resource_type"] == type_name)


@asynccontextmanager
async def heat_of(user: str = "demo", project: str = "demo", **settings: Any) -> AsyncIterator[Heat]:
    """A fresh cloud in virtual time and a client of it."""
    world = World(CloudsimSettings(speed=0, **settings))
    transport = httpx.ASGITransport(app=create_app(world))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        heat = await login(world, client, user, project)
        try:
            yield heat
        finally:
            world.reset()


async def login(world: World, client: httpx.AsyncClient, user: str, project: str, password: str | None = None) -> Heat:
    """Use a password for a token of a project from here on."""
    domain = {"id": "default"}
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": user, "domain": domain, "password": password or user}},
    }
    scope = {"project": {"name": project, "domain": domain}}
    answer = await client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
    assert answer.status_code == 201, answer.text
    client.headers["x-auth-token"] = answer.headers["x-subject-token"]
    return Heat(world, client, answer.json()["token"]["project"]["id"])
