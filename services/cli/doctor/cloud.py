"""The cloud as the checks reach it: our service user's own clients, and a few lists that no service needs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from services.cli.doctor.settings import DoctorSettings
from shared.domain.errors import CloudError
from shared.openstack.answers import Doc
from shared.openstack.cloud import Cloud, ProjectCloud
from shared.openstack.keystone import Project

IDENTITY: Final = "identity"
_OF_HEAT: Final = "Heat stack user project"


@dataclass(frozen=True)
class Patient:
    """What is examined."""

    settings: DoctorSettings
    cloud: Cloud

    @property
    def own(self) -> ProjectCloud:
        """As our service user, in the service project."""
        return self.cloud.for_service()

    @property
    def user(self) -> str:
        """The service user as the `openstack` command names it in a grant."""
        return f"--user {self.settings.service_username} --user-domain {self.settings.service_user_domain}"

    @property
    def own_project(self) -> str:
        """The service project as the `openstack` command names it in a grant; it is in the service user's domain."""
        return f"--project {self.settings.service_project} --project-domain {self.settings.service_user_domain}"

    async def listed(self, path: str, key: str, **params: str) -> list[Doc]:
        """A list of Keystone's."""
        return await self.own.session.pages(IDENTITY, path, key, params=params)

    async def projects(self) -> list[Project]:
        """Every project that is enabled, without those that Heat makes for its stacks' users.

        Raises CloudError 403 for who is no administrator.
        """
        listed = await self.listed("/projects", "projects")
        found = [_project(one) for one in listed if one.maybe("description") != _OF_HEAT]
        return [one for one in found if one.enabled]

    async def granted(self) -> list[Project]:
        """The projects in which our service user has a role, the service project among them."""
        return [_project(one) for one in await self.listed("/auth/projects", "projects")]

    async def by_domain(self) -> dict[str, list[Project]]:
        """The enabled projects by their domain's name."""
        names = {one.text("id"): one.text("name") for one in await self.listed("/domains", "domains")}
        found: defaultdict[str, list[Project]] = defaultdict(list)
        for project in await self.projects():
            found[names.get(project.domain_id, project.domain_id)].append(project)
        return dict(found)


def is_refusal(error: CloudError) -> bool:
    """Whether the cloud says that we may not, rather than that it cannot."""
    return error.status in {401, 403}


def _project(doc: Doc) -> Project:
    return Project(doc.text("id"), doc.text("name"), doc.text("domain_id"), doc.flag("enabled", default=True))
