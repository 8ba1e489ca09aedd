"""Tokens: how a login becomes one, when it stops being one, and what roles it carries right now.

As with Keystone's own tokens, roles are not frozen at issue: a token dies with its user, trust or application
credential, and loses a role when the assignment goes.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Any

from cloudsim.errors import ApiFault
from cloudsim.identity.state import DEFAULT_DOMAIN, AppCredential, Identity, Project, Token, Trust, User, expand

# How long after its end a token can still be validated with allow_expired (Keystone's default).
EXPIRED_WINDOW = 172800
_UNAUTHORISED = "The request you have made requires authentication."
_KEEP = 50_000


def unauthorised() -> ApiFault:
    """401 as Keystone words it; it never says which part was wrong."""
    return ApiFault(401, _UNAUTHORISED)


def no_credential(credential_id: str) -> ApiFault:
    """404, not 401, is what Keystone says to who logs in by an application credential that is gone."""
    return ApiFault(404, f"Could not find Application Credential: {credential_id}.")


def lost_credential(identity: Identity, token_id: str) -> str | None:
    """The id of the application credential that this token came from, if that is gone."""
    token = identity.tokens.get(token_id)
    credential_id = token.app_credential_id if token is not None else None
    return credential_id if credential_id not in identity.app_credentials else None


def hash_secret(secret: str) -> str:
    """What is kept of an application credential's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(identity: Identity, auth: dict[str, Any]) -> Token:
    """Issue the token that the `auth` object asks for. Raises ApiFault 400, 401 or 403."""
    login = auth.get("identity")
    if not isinstance(login, dict) or not isinstance(login.get("methods"), list) or not login["methods"]:
        raise ApiFault(400, "'identity' with 'methods' is a required property of 'auth'.")
    method = login["methods"][0]
    details = login.get(method)
    if method not in _METHODS or not isinstance(details, dict):
        raise ApiFault(401, f"Attempted to authenticate with an unsupported method: {method}.")
    token = _METHODS[method](identity, details)
    _apply_scope(identity, token, auth.get("scope"))
    if token.project_id and not roles_of(identity, token):
        raise unauthorised()
    identity.tokens[token.id] = token
    while len(identity.tokens) > _KEEP:
        del identity.tokens[next(iter(identity.tokens))]
    return token


def valid(identity: Identity, token_id: str, *, allow_expired: bool = False) -> Token | None:
    """The token, if it stands: not revoked, not expired, and what it hangs on still exists."""
    token = identity.tokens.get(token_id)
    if token is None or token.revoked:
        return None
    if token.expires_at + (EXPIRED_WINDOW if allow_expired else 0) <= identity.clock.now():
        return None
    user = identity.users.get(token.user_id)
    if user is None or not user.enabled or (token.project_id and not roles_of(identity, token)):
        return None
    return token


def roles_of(identity: Identity, token: Token) -> tuple[str, ...]:
    """Role names that the token carries now; empty when its scope is gone or it has none."""
    if token.domain_id:
        return identity.roles_on_domain(token.user_id, token.domain_id)
    project = identity.projects.get(token.project_id or "")
    if project is None or not project.enabled:
        return ()
    if token.trust_id:
        trust = identity.trusts.get(token.trust_id)
        return _part(identity, trust.trustor_user_id, project, expand(set(trust.roles))) if trust else ()
    if token.app_credential_id:
        credential = identity.app_credentials.get(token.app_credential_id)
        return _part(identity, credential.user_id, project, credential.roles) if credential else ()
    return identity.roles_on_project(token.user_id, project)


def restricted(identity: Identity, token: Token) -> bool:
    """True for a token of an application credential that may not manage credentials and trusts."""
    credential = identity.app_credentials.get(token.app_credential_id or "")
    return credential is not None and not credential.unrestricted


def _part(identity: Identity, user_id: str, project: Project, delegated: tuple[str, ...]) -> tuple[str, ...]:
    """The delegated roles, provided that who delegated them still has them all."""
    held = identity.roles_on_project(user_id, project)
    return delegated if set(delegated) <= set(held) else ()


def _new(identity: Identity, user: User, methods: tuple[str, ...]) -> Token:
    now = identity.clock.now()
    token_id = "gAAAAA" + secrets.token_urlsafe(90)
    audit = (secrets.token_urlsafe(16),)
    return Token(token_id, user.id, methods, now, now + identity.settings.token_seconds, audit)


def _user(identity: Identity, spec: object) -> User:
    """The user that a login names by id, or by name and domain. 401 when there is none, as for a bad password."""
    if not isinstance(spec, dict):
        raise ApiFault(400, "'user' is a required property.")
    user = identity.users.get(str(spec.get("id", "")))
    if user is None and "name" in spec:
        user = identity.user_named(str(spec["name"]), domain_of(spec.get("domain")))
    if user is None or not user.enabled:
        raise unauthorised()
    return user


def domain_of(spec: object) -> str:
    """A domain's id from `{"id": …}` or `{"name": "Default"}`; what does not exist comes back as it was given."""
    if not isinstance(spec, dict):
        raise ApiFault(400, "Expecting to find domain in user or project.")
    name = spec.get("name")
    if isinstance(name, str):
        return DEFAULT_DOMAIN if name.lower() == "default" else name
    return str(spec.get("id", ""))


def _by_password(identity: Identity, details: dict[str, Any]) -> Token:
    spec = details.get("user")
    user = _user(identity, spec)
    given = str(spec.get("password", "")) if isinstance(spec, dict) else ""
    if not secrets.compare_digest(given.encode(), user.password.encode()):
        raise unauthorised()
    return _new(identity, user, ("password",))


def _by_token(identity: Identity, details: dict[str, Any]) -> Token:
    """Another scope for the same login; it ends when the first token ends."""
    parent = valid(identity, str(details.get("id", "")))
    if parent is None:
        raise unauthorised()
    if parent.trust_id or parent.app_credential_id:
        raise ApiFault(403, "Rescoping a delegated token is forbidden.")
    token = _new(identity, identity.users[parent.user_id], ("token", *(m for m in parent.methods if m != "token")))
    token.expires_at = parent.expires_at
    token.audit_ids = (token.audit_ids[0], parent.audit_ids[-1])
    return token


def _by_app_credential(identity: Identity, details: dict[str, Any]) -> Token:
    credential = identity.app_credentials.get(str(details.get("id", "")))
    if credential is None and "name" in details:
        user = _user(identity, details.get("user"))
        credential = next((c for c in identity.credentials_of(user.id) if c.name == details["name"]), None)
    if credential is None:
        raise no_credential(str(details.get("id") or details.get("name")))
    if credential.secret_hash != hash_secret(str(details.get("secret", ""))):
        raise unauthorised()
    if credential.expires_at is not None and credential.expires_at <= identity.clock.now():
        raise unauthorised()
    return _credential_token(identity, credential)


def _credential_token(identity: Identity, credential: AppCredential) -> Token:
    user = identity.users.get(credential.user_id)
    if user is None or not user.enabled:
        raise unauthorised()
    token = _new(identity, user, ("application_credential",))
    token.app_credential_id, token.project_id = credential.id, credential.project_id
    if credential.expires_at is not None:
        token.expires_at = min(token.expires_at, credential.expires_at)
    return token


_METHODS = {"password": _by_password, "token": _by_token, "application_credential": _by_app_credential}


def _apply_scope(identity: Identity, token: Token, scope: object) -> None:
    """Give the token its scope. An application credential brings its own and takes no other."""
    if token.app_credential_id:
        if scope:
            raise ApiFault(401, "Application credentials cannot request a scope.")
        return
    if scope is None:
        token.project_id = identity.users[token.user_id].default_project_id
    elif isinstance(scope, dict) and "OS-TRUST:trust" in scope:
        _scope_to_trust(identity, token, str(scope["OS-TRUST:trust"].get("id", "")))
    elif isinstance(scope, dict) and "project" in scope:
        token.project_id = _project(identity, scope["project"]).id
    elif isinstance(scope, dict) and "domain" in scope:
        token.domain_id = domain_of(scope["domain"])
        if not roles_of(identity, token):
            raise unauthorised()
    elif scope not in ("unscoped", {"unscoped": {}}):
        raise ApiFault(400, "Expecting to find project, domain or OS-TRUST:trust in scope.")


def _project(identity: Identity, spec: dict[str, Any]) -> Project:
    project = identity.projects.get(str(spec.get("id", "")))
    if project is None and "name" in spec:
        project = identity.project_named(str(spec["name"]), domain_of(spec.get("domain")))
    if project is None or not project.enabled:
        raise unauthorised()
    return project


def _scope_to_trust(identity: Identity, token: Token, trust_id: str) -> None:
    trust = identity.trusts.get(trust_id)
    now = identity.clock.now()
    if trust is None or (trust.expires_at is not None and trust.expires_at <= now):
        raise unauthorised()
    if trust.trustee_user_id != token.user_id:
        raise ApiFault(403, "User is not a trustee.")
    _consume(trust)
    token.trust_id, token.project_id = trust.id, trust.project_id
    if trust.impersonation:
        token.user_id = trust.trustor_user_id
    if trust.expires_at is not None:
        token.expires_at = min(token.expires_at, trust.expires_at)


def _consume(trust: Trust) -> None:
    """Count one use of a trust that has a limited number of them."""
    if trust.remaining_uses is None:
        return
    if trust.remaining_uses <= 0:
        raise ApiFault(403, "No remaining uses for trust.")
    trust.remaining_uses -= 1


def new_id() -> str:
    """An id as Keystone makes them."""
    return uuid.uuid4().hex
