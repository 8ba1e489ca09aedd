"""Keystone's resources: the nodes' application credentials, and whether a project still exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from shared.domain.errors import CloudError
from shared.openstack.access_rules import AccessRule
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, segment

SERVICE: Final = "identity"


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """An application credential. Keystone tells the secret once, when it makes it; it never shows in a `repr`."""

    id: str
    name: str
    project_id: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Project:
    """A project."""

    id: str
    name: str
    domain_id: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class KeystoneClient:
    """Keystone as one caller, as an administrator, or as our service user."""

    session: CloudSession

    async def create_application_credential(
        self,
        user_id: str,
        name: str,
        *,
        roles: Iterable[str] | None = None,
        access_rules: Iterable[AccessRule] | None = None,
        expires_at: str | None = None,
        unrestricted: bool = False,
        description: str = "",
    ) -> ApplicationCredential:
        """Make one for `user_id` in the token's project; the token's own user, unless the cloud's policy allows more.

        Names are unique per user: 409 means that it exists, and its secret cannot be had again, so delete and remake.
        403: a token of a trust or an application credential may not make any.
        """
        body: dict[str, object] = {"name": name, "description": description, "unrestricted": unrestricted}
        if roles is not None:
            body["roles"] = [{"name": role} for role in roles]
        if access_rules is not None:
            body["access_rules"] = [
                {"service": rule.service, "method": rule.method, "path": rule.path} for rule in access_rules
            ]
        if expires_at is not None:
            body["expires_at"] = expires_at
        made = await self.session.send(
            SERVICE,
            "POST",
            _credentials(user_id),
            {"application_credential": body},
            resource=f"application credential {name}",
        )
        return _credential(made.doc("application_credential"))

    async def application_credentials(self, user_id: str, name: str | None = None) -> list[ApplicationCredential]:
        """Those of a user, without secrets, of this name only when one is given; none of a user who is gone."""
        params = None if name is None else {"name": name}
        try:
            listed = await self.session.pages(SERVICE, _credentials(user_id), "application_credentials", params=params)
        except CloudError as error:
            if error.status != 404:
                raise
            return []
        return [one for one in map(_credential, listed) if name in (None, one.name)]

    async def delete_application_credential(self, user_id: str, credential_id: str) -> bool:
        """Delete one, of another user too when the token is an administrator's; False when it was gone."""
        path = f"{_credentials(user_id)}/{segment(credential_id)}"
        return await self.session.delete(SERVICE, path, resource=f"application credential {credential_id}")

    async def project(self, project_id: str) -> Project | None:
        """A project; None: it does not exist."""
        found = await self.session.get(SERVICE, f"/projects/{segment(project_id)}", resource=f"project {project_id}")
        if found is None:
            return None
        project = found.doc("project")
        return Project(
            project.text("id"), project.text("name"), project.text("domain_id"), project.flag("enabled", default=True)
        )


def _credentials(user_id: str) -> str:
    return f"/users/{segment(user_id)}/application_credentials"


def _credential(doc: Doc) -> ApplicationCredential:
    return ApplicationCredential(
        doc.text("id"), doc.text("name"), doc.maybe("project_id") or "", doc.maybe("secret") or ""
    )
