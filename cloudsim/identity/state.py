"""Who exists, who may do what where, and the delegations they made. Plain data; `tokens.py` turns it into tokens."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudsim.clock import Clock
    from cloudsim.world import CloudsimSettings

DEFAULT_DOMAIN = "default"
# Keystone's bootstrap rules: who has the key role has these too.
IMPLIED = {"admin": ("member", "reader"), "member": ("reader",)}
ROLE_NAMES = ("admin", "member", "reader", "service", "heat_stack_user")


@dataclass(slots=True)
class Project:
    """A project (tenant)."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    domain_id: str = DEFAULT_DOMAIN


@dataclass(slots=True)
class User:
    """A user; the password is a fixture's and never leaves in a body."""

    id: str
    name: str
    password: str = field(repr=False)
    default_project_id: str | None = None
    enabled: bool = True
    domain_id: str = DEFAULT_DOMAIN


@dataclass(slots=True, frozen=True)
class Assignment:
    """A role of a user on a project, or on a domain; `inherited` gives it on the domain's projects instead."""

    user_id: str
    role: str
    project_id: str | None = None
    domain_id: str | None = None
    inherited: bool = False


@dataclass(slots=True)
class Trust:
    """The trustor lets the trustee act with some of its roles in one project."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str
    impersonation: bool
    roles: tuple[str, ...]
    expires_at: float | None = None
    remaining_uses: int | None = None


@dataclass(slots=True)
class AppCredential:
    """A login of its own for a part of a user's rights in one project. Only a hash of the secret is kept."""

    id: str
    name: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    secret_hash: str = field(repr=False)
    description: str | None = None
    expires_at: float | None = None
    unrestricted: bool | None = None
    access_rules: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Token:
    """A token as it was issued. Unscoped when it has neither project nor domain."""

    id: str = field(repr=False)
    user_id: str
    methods: tuple[str, ...]
    issued_at: float
    expires_at: float
    audit_ids: tuple[str, ...]
    project_id: str | None = None
    domain_id: str | None = None
    trust_id: str | None = None
    app_credential_id: str | None = None
    revoked: bool = False


class Identity:
    """Keystone's state. Ids of fixtures are stable; everything else is random."""

    def __init__(self, clock: Clock, settings: CloudsimSettings) -> None:
        self.clock, self.settings = clock, settings
        self.reset()

    def reset(self) -> None:
        """Forget everything, fixtures too: the world loads them again."""
        self.projects: dict[str, Project] = {}
        self.users: dict[str, User] = {}
        self.roles: dict[str, str] = {name: stable_role_id(name) for name in ROLE_NAMES}
        self.assignments: set[Assignment] = set()
        self.trusts: dict[str, Trust] = {}
        self.app_credentials: dict[str, AppCredential] = {}
        self.tokens: dict[str, Token] = {}

    def user_named(self, name: str, domain_id: str = DEFAULT_DOMAIN) -> User | None:
        """The user of that name in a domain."""
        return next((u for u in self.users.values() if u.name == name and u.domain_id == domain_id), None)

    def project_named(self, name: str, domain_id: str = DEFAULT_DOMAIN) -> Project | None:
        """The project of that name in a domain."""
        return next((p for p in self.projects.values() if p.name == name and p.domain_id == domain_id), None)

    def roles_on_project(self, user_id: str, project: Project) -> tuple[str, ...]:
        """Role names of a user in a project: direct, inherited from the domain, and implied by those."""
        direct = {
            a.role
            for a in self.assignments
            if a.user_id == user_id
            and (a.project_id == project.id or (a.inherited and a.domain_id == project.domain_id))
        }
        return expand(direct)

    def roles_on_domain(self, user_id: str, domain_id: str) -> tuple[str, ...]:
        """Role names of a user on a domain itself; inherited assignments do not count there."""
        return expand(
            {a.role for a in self.assignments if a.user_id == user_id and a.domain_id == domain_id and not a.inherited}
        )

    def credentials_of(self, user_id: str) -> list[AppCredential]:
        """A user's application credentials, oldest first."""
        return [c for c in self.app_credentials.values() if c.user_id == user_id]


def expand(roles: set[str]) -> tuple[str, ...]:
    """The roles with those they imply, sorted."""
    return tuple(sorted(roles.union(*(IMPLIED.get(role, ()) for role in roles))))


def stable_role_id(name: str) -> str:
    """Keystone's ids are 32 hex digits; a fixture's is the same in every run."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://cloudsim.invalid/identity/role/{name}").hex


def stable_identity_id(kind: str, name: str) -> str:
    """The id of a fixture user or project."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://cloudsim.invalid/identity/{kind}/{name}").hex
