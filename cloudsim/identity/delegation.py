"""Trusts and application credentials, with Keystone's rule that delegated tokens make no further delegations."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import AnyCaller, Caller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, empty, read, select
from cloudsim.identity.state import AppCredential, Identity, Trust
from cloudsim.identity.tokens import hash_secret, new_id

router = APIRouter()
_RULE_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def _trust(identity: Identity, trust: Trust) -> Body:
    expires = None if trust.expires_at is None else identity.clock.iso(trust.expires_at, micros=True)
    return {
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonation,
        "roles": _roles(identity, trust.roles),
        "expires_at": expires,
        "remaining_uses": trust.remaining_uses,
        "deleted_at": None,
        "redelegation_count": 0,
    }


@router.post("/OS-TRUST/trusts")
async def create_trust(request: Request, caller: AnyCaller) -> Response:
    """Make a trust; only the trustor itself can, with a token of its own."""
    identity = world_of(request).identity
    body = await read(request, "trust")
    if caller.delegated:
        raise ApiFault(403, "Delegated tokens cannot manage trusts.")
    if body.get("trustor_user_id") != caller.user_id or body.get("project_id") != caller.project_id:
        raise ApiFault(403, "The authenticated user should match the trustor, and the token the project.")
    if body.get("trustee_user_id") not in identity.users:
        raise ApiFault(404, f"Could not find user: {body.get('trustee_user_id')}.")
    trust = Trust(
        id=new_id(),
        trustor_user_id=caller.user_id,
        trustee_user_id=body["trustee_user_id"],
        project_id=caller.project_id,
        impersonation=bool(body.get("impersonation", False)),
        roles=_requested_roles(identity, body, caller, status=403),
        expires_at=_moment(body.get("expires_at")),
        remaining_uses=body.get("remaining_uses"),
    )
    identity.trusts[trust.id] = trust
    return answer({"trust": _trust(identity, trust)}, 201)


@router.get("/OS-TRUST/trusts")
async def trusts(request: Request, caller: AnyCaller) -> Response:
    """The trusts that the caller gave or got; all of them for administrators."""
    identity = world_of(request).identity
    mine = [_trust(identity, t) for t in identity.trusts.values() if caller.is_admin or _party(caller, t)]
    return answer({"trusts": select(mine, request), "links": {}})


@router.get("/OS-TRUST/trusts/{trust_id}")
async def show_trust(request: Request, trust_id: str, caller: AnyCaller) -> Response:
    """One trust, for its two parties and administrators."""
    identity = world_of(request).identity
    return answer({"trust": _trust(identity, _visible_trust(identity, trust_id, caller))})


@router.delete("/OS-TRUST/trusts/{trust_id}")
async def delete_trust(request: Request, trust_id: str, caller: AnyCaller) -> Response:
    """Take a trust back; its tokens die."""
    identity = world_of(request).identity
    trust = _visible_trust(identity, trust_id, caller)
    if caller.delegated:
        raise ApiFault(403, "Delegated tokens cannot manage trusts.")
    if trust.trustor_user_id != caller.user_id:
        caller.require_admin()
    del identity.trusts[trust_id]
    return empty()


def _party(caller: Caller, trust: Trust) -> bool:
    return caller.user_id in (trust.trustor_user_id, trust.trustee_user_id)


def _visible_trust(identity: Identity, trust_id: str, caller: Caller) -> Trust:
    trust = identity.trusts.get(trust_id)
    if trust is None or not (caller.is_admin or _party(caller, trust)):
        raise ApiFault(404, f"Could not find trust: {trust_id}.")
    return trust


@router.post("/users/{user_id}/application_credentials")
async def create_credential(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """Make an application credential for oneself in the token's project; the secret is shown this once."""
    identity = world_of(request).identity
    body = await read(request, "application_credential")
    if caller.delegated:
        raise ApiFault(403, f"Using method '{caller.method}' is not allowed for managing application credentials.")
    if caller.user_id != user_id or not caller.project_id:
        raise ApiFault(403, "Application credentials are made by their own user with a project-scoped token.")
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise ApiFault(400, "'name' is a required property.")
    if any(c.name == name for c in identity.credentials_of(user_id)):
        raise ApiFault(409, f"Conflict occurred attempting to store application_credential - Duplicate entry {name}.")
    secret = str(body.get("secret") or secrets.token_urlsafe(64))
    credential = AppCredential(
        id=new_id(),
        name=name,
        user_id=user_id,
        project_id=caller.project_id,
        roles=_requested_roles(identity, body, caller, status=400),
        secret_hash=hash_secret(secret),
        description=body.get("description"),
        expires_at=_moment(body.get("expires_at")),
        unrestricted=bool(body.get("unrestricted", False)),
        access_rules=[_rule(rule) for rule in body.get("access_rules") or ()],
    )
    identity.app_credentials[credential.id] = credential
    return answer({"application_credential": _credential(identity, credential) | {"secret": secret}}, 201)


@router.get("/users/{user_id}/application_credentials")
async def credentials(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """A user's application credentials: one's own, or anybody's for administrators."""
    identity = world_of(request).identity
    if caller.user_id != user_id:
        caller.require_admin()
    bodies = [_credential(identity, c) for c in identity.credentials_of(user_id)]
    return answer({"application_credentials": select(bodies, request), "links": {}})


@router.get("/users/{user_id}/application_credentials/{credential_id}")
async def show_credential(request: Request, user_id: str, credential_id: str, caller: AnyCaller) -> Response:
    """One application credential, without its secret."""
    identity = world_of(request).identity
    return answer({"application_credential": _credential(identity, _owned(identity, user_id, credential_id, caller))})


@router.delete("/users/{user_id}/application_credentials/{credential_id}")
async def delete_credential(request: Request, user_id: str, credential_id: str, caller: AnyCaller) -> Response:
    """Delete an application credential; its tokens die."""
    identity = world_of(request).identity
    if caller.delegated:
        raise ApiFault(403, f"Using method '{caller.method}' is not allowed for managing application credentials.")
    del identity.app_credentials[_owned(identity, user_id, credential_id, caller).id]
    return empty()


def _owned(identity: Identity, user_id: str, credential_id: str, caller: Caller) -> AppCredential:
    if caller.user_id != user_id:
        caller.require_admin()
    credential = identity.app_credentials.get(credential_id)
    if credential is None or credential.user_id != user_id:
        raise ApiFault(404, f"Could not find Application Credential: {credential_id}.")
    return credential


def _credential(identity: Identity, credential: AppCredential) -> Body:
    expires = None if credential.expires_at is None else identity.clock.iso(credential.expires_at, micros=True)
    shown: Body = {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "roles": _roles(identity, credential.roles),
        "expires_at": expires,
        "unrestricted": credential.unrestricted,
        "links": {},
    }
    return shown | ({"access_rules": credential.access_rules} if credential.access_rules else {})


def _roles(identity: Identity, names: tuple[str, ...]) -> list[Body]:
    return [{"id": identity.roles[name], "name": name, "domain_id": None} for name in names]


def _requested_roles(identity: Identity, body: Body, caller: Caller, *, status: int) -> tuple[str, ...]:
    """The roles to delegate: those named, else all of the token's. The caller must have every one of them."""
    if not body.get("roles"):
        return tuple(sorted(caller.roles))
    by_id = {role_id: name for name, role_id in identity.roles.items()}
    wanted = {str(spec.get("name") or by_id.get(spec.get("id", ""), "")) for spec in body["roles"]}
    if not wanted <= caller.roles:
        raise ApiFault(status, f"Could not find role assignment for {sorted(wanted - caller.roles)}.")
    return tuple(sorted(wanted))


def _rule(rule: object) -> Body:
    """A checked access rule with an id. Raises ApiFault 400."""
    if not isinstance(rule, dict) or not all(isinstance(rule.get(k), str) for k in ("service", "method", "path")):
        raise ApiFault(400, "An access rule needs 'service', 'method' and 'path'.")
    if rule["method"] not in _RULE_METHODS or not rule["path"].startswith("/"):
        raise ApiFault(400, f"Invalid access rule: {rule['method']} {rule['path']}.")
    return {"id": new_id(), "service": rule["service"], "method": rule["method"], "path": rule["path"]}


def _moment(value: object) -> float | None:
    """Unix seconds of an ISO 8601 time; None stays None. Raises ApiFault 400."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ApiFault(400, f"Invalid input for field 'expires_at': {value!r} is not a date-time.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
