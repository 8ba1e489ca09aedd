"""What an administrator makes for these tests and takes away again: domains, projects, users, our place in the catalog.

Domains of the suite's own, so that our service user is given its inherited role on nobody else's projects, and so that
there is a domain where it has none.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.errors import CloudError
from shared.openstack.cloud import ProjectCloud
from tests.realcloud import guide
from tests.realcloud.people import Person
from tests.realcloud.shell import OPENSTACK, Shell
from tests.support.realcloud import RealCloud

TYPE = "container-infra"


@dataclass
class Premises:
    """An administrator's hands; `tag` is part of every name that they give."""

    cloud: RealCloud
    admin: ProjectCloud
    tag: str = field(default_factory=lambda: secrets.token_hex(3))
    _domains: list[str] = field(default_factory=list)
    _projects: list[str] = field(default_factory=list)
    _roles: dict[str, str] = field(default_factory=dict)

    async def may(self) -> bool:
        """Whether it is an administrator: nobody else may list domains."""
        try:
            await self.admin.session.pages("identity", "/domains", "domains")
        except CloudError as error:
            if error.status == 403:
                return False
            raise
        return True

    async def domain(self, kind: str) -> str:
        """A new domain; its name."""
        body = {"domain": {"name": f"jeroboam-test-{self.tag}-{kind}"}}
        made = (await self.admin.session.send("identity", "POST", "/domains", body)).doc("domain")
        self._domains.append(made.text("id"))
        return made.text("name")

    async def project(self, name: str, domain: str, users: int = 1) -> list[Person]:
        """A new project in a domain, and so many new users, each with the role `member` there and nothing else."""
        domain_id = await self._id("domains", domain)
        body = {"project": {"name": name, "domain_id": domain_id}}
        project = (await self.admin.session.send("identity", "POST", "/projects", body)).doc("project").text("id")
        self._projects.append(project)
        return [await self._member(f"{name}-{number}", name, project, domain, domain_id) for number in range(users)]

    async def grant(self, user_id: str, project_id: str, role: str) -> None:
        """Give a user a role in a project."""
        path = f"/projects/{project_id}/users/{user_id}/roles/{await self._id('roles', role)}"
        await self.admin.session.call("identity", "PUT", path)

    async def dismiss(self, person: Person) -> None:
        """Delete a user."""
        assert await self.admin.session.delete("identity", f"/users/{person.user_id}")

    async def user_data(self, server_id: str) -> str:
        """A server's user-data as Nova keeps it, in base64; administrators alone see it."""
        version = {"OpenStack-API-Version": "compute 2.3", "X-OpenStack-Nova-API-Version": "2.3"}
        reply = await self.admin.session.call(
            "compute", "GET", f"/servers/{server_id}", headers=version, wants_json=True
        )
        return reply.json().doc("server").text("OS-EXT-SRV-ATTR:user_data")

    async def clear(self) -> None:
        """Remove the domains with all that is in them, and what Neutron made for the projects by itself."""
        for project in self._projects:
            groups = await self.admin.neutron.items("security-groups", project_id=project)
            for group in groups:
                with suppress(CloudError):  # still in use: what a failed test left is Neutron's to name
                    await self.admin.session.delete("network", f"/security-groups/{group.id}")
        for domain in self._domains:
            path = f"/domains/{domain}"
            await self.admin.session.call("identity", "PATCH", path, json={"domain": {"enabled": False}})
            await self.admin.session.delete("identity", path)

    async def _member(self, name: str, project: str, project_id: str, domain: str, domain_id: str) -> Person:
        password = secrets.token_urlsafe(16)
        body = {"user": {"name": name, "password": password, "domain_id": domain_id}}
        user = (await self.admin.session.send("identity", "POST", "/users", body)).doc("user").text("id")
        await self.grant(user, project_id, "member")
        return Person(self.cloud, name, user, project, project_id, domain, password)

    async def _id(self, kind: str, name: str) -> str:
        found = await self.admin.session.pages("identity", f"/{kind}", kind, params={"name": name})
        assert len(found) == 1, f"{kind} of the name {name}: {len(found)}"
        return found[0].text("id")


@dataclass(frozen=True)
class ServiceUser:
    """Our service user as the guide's commands made it."""

    name: str
    password: str = field(repr=False)


@asynccontextmanager
async def registered(premises: Premises, domain: str, api_url: str, folder: Path) -> AsyncIterator[ServiceUser]:
    """Run the guide's commands for one domain; afterwards the catalog is as before, and the service user is gone."""
    user = ServiceUser(f"jeroboam-test-{premises.tag}", secrets.token_urlsafe(16))
    session, credential = premises.admin.session, premises.cloud.credential
    services, endpoints = await _services(premises), await _endpoints(premises)
    shell = Shell(credential, folder)
    variables = {"JEROBOAM_SERVICE_PASSWORD": user.password, "DOMAIN": domain, "API_URL": api_url}
    variables["REGION"] = credential.region
    try:
        await shell.run(OPENSTACK, ["bash", "-euc", guide.commands(user.name)], variables)
        yield user
    finally:
        for endpoint, url in (await _endpoints(premises)).items():
            if endpoint not in endpoints:
                await session.delete("identity", f"/endpoints/{endpoint}")
            elif url != endpoints[endpoint]:
                body = {"endpoint": {"url": endpoints[endpoint]}}
                await session.call("identity", "PATCH", f"/endpoints/{endpoint}", json=body)
        for service in await _services(premises) - services:
            await session.delete("identity", f"/services/{service}")
        for found in await session.pages("identity", "/users", "users", params={"name": user.name}):
            await session.delete("identity", f"/users/{found.text('id')}")


async def _services(premises: Premises) -> set[str]:
    listed = await premises.admin.session.pages("identity", "/services", "services", params={"type": TYPE})
    return {one.text("id") for one in listed}


async def _endpoints(premises: Premises) -> dict[str, str]:
    """URL by id of each endpoint of our type."""
    ours = await _services(premises)
    listed = await premises.admin.session.pages("identity", "/endpoints", "endpoints")
    return {one.text("id"): one.text("url") for one in listed if one.text("service_id") in ours}
