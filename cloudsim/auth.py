"""Who is calling: the part that keystonemiddleware plays in front of every real service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from typing_extensions import override

from cloudsim.errors import ApiFault
from cloudsim.identity import tokens
from cloudsim.identity.state import Identity, Token

if TYPE_CHECKING:
    from cloudsim.world import World

# First path part → the service types by which access rules may name it.
SERVICE_TYPES = {
    "identity": ("identity",),
    "orchestration": ("orchestration",),
    "compute": ("compute",),
    "network": ("network",),
    "image": ("image",),
    "volume": ("volumev3", "block-storage"),
    "key-manager": ("key-manager",),
    "load-balancer": ("load-balancer",),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `delegated`: by a trust or a restricted application credential, which Keystone refuses trusts."""

    user_id: str
    user_name: str
    project_id: str
    roles: frozenset[str]
    token_id: str
    method: str
    delegated: bool
    restricted: bool

    @property
    def is_admin(self) -> bool:
        """True when the token carries the role admin."""
        return "admin" in self.roles

    @override
    def __repr__(self) -> str:
        """Without the token."""
        return f"<Caller {self.user_name} in {self.project_id} {sorted(self.roles)}>"

    def require_admin(self, rule: str = "") -> None:
        """403 unless the caller is an administrator; `rule` is Keystone's name of what it must be for."""
        if not self.is_admin:
            raise denied(rule)

    def require_write(self, rule: str = "this action") -> None:
        """403 for callers who may only read, in Nova's and Cinder's words; `rule` names the policy."""
        if not self.roles & {"member", "admin"}:
            raise ApiFault(403, f"Policy doesn't allow {rule} to be performed.", kind="PolicyNotAuthorized")


def denied(rule: str = "") -> ApiFault:
    """403 in Keystone's words."""
    which = f": {rule}" if rule else ""
    return ApiFault(403, f"You are not authorized to perform the requested action{which}.", kind="Forbidden")


def world_of(request: Request) -> World:
    """The world this app simulates."""
    world: World = request.app.state.world
    return world


async def any_caller(request: Request) -> Caller:
    """The caller with a token of any scope, for Keystone's own routes; 401 without a token that stands."""
    identity, token_id = world_of(request).identity, request.headers.get("x-auth-token", "")
    token, gone = tokens.valid(identity, token_id), tokens.lost_credential(identity, token_id)
    if gone and request.url.path.startswith("/identity/"):  # the services' middleware makes a 401 of it
        raise tokens.no_credential(gone)
    if token is None or not _rules_allow(identity, token, request):
        raise tokens.unauthorised()
    return _caller(identity, token)


async def caller(request: Request) -> Caller:
    """The caller with a project-scoped token; 401 otherwise."""
    found = await any_caller(request)
    if not found.project_id:
        raise tokens.unauthorised()
    return found


AnyCaller = Annotated[Caller, Depends(any_caller)]
ProjectCaller = Annotated[Caller, Depends(caller)]


def _caller(identity: Identity, token: Token) -> Caller:
    restricted = tokens.restricted(identity, token)
    return Caller(
        user_id=token.user_id,
        user_name=identity.users[token.user_id].name,
        project_id=token.project_id or "",
        roles=frozenset(tokens.roles_of(identity, token)),
        token_id=token.id,
        method="trust" if token.trust_id else token.methods[0],
        delegated=token.trust_id is not None or restricted,
        restricted=restricted,
    )


def _rules_allow(identity: Identity, token: Token, request: Request) -> bool:
    """Whether an application credential's access rules cover this request; without rules everything is covered."""
    credential = identity.app_credentials.get(token.app_credential_id or "")
    if credential is None or not credential.access_rules:
        return True
    service, _, path = request.url.path.lstrip("/").partition("/")
    types = SERVICE_TYPES.get(service, ())
    return any(_rule_matches(rule, types, request.method, "/" + path) for rule in credential.access_rules)


def _rule_matches(rule: dict[str, Any], types: tuple[str, ...], method: str, path: str) -> bool:
    return rule["service"] in types and rule["method"] == method and _pattern(rule["path"]).fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    """Keystone's path patterns: `*` and `{name}` stand for one part, `**` for any number of them."""
    parts = re.split(r"(\*\*|\*|\{[^}]*\})", path)
    return re.compile(
        "".join(".*" if p == "**" else "[^/]+" if p[:1] in {"*", "{"} and p else re.escape(p) for p in parts)
    )
