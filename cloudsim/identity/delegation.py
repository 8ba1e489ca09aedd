"""Trusts and application credentials, with Keystone's rule that delegated tokens make no further delegations."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import AnyCaller, Caller, denied, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import CLIENTS_ERROR, Body, answer, base_url, empty, read, select
from cloudsim.identity.people import role_body, self_link
from cloudsim.identity.state import AppCredential, Identity, Trust, expand
from cloudsim.identity.tokens import hash_secret, new_id

router = APIRouter()
_RULE_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def _trust(request: Request, trust: Trust, *, brief: bool = False) -> Body:
    """A trust; `brief` as in lists, without its roles."""
    identity = world_of(request).identity
    expires = None if trust.expires_at is None else identity.clock.iso(trust.expires_at, micros=True)
    shown = {
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonation,
        "expires_at": expires,
        "remaining_uses": trust.remaining_uses,
        "deleted_at": None,
        "redelegation_count": 0,
        "redelegated_trust_id": None,
    } | self_link(request, "OS-TRUST/trusts", trust.id)
    if brief:
        return shown
    roles = [one | self_link(request, "roles", str(one["id"])) for one in _roles(identity, trust.roles)]
    own = f"{base_url(request)}/identity/v3/{trust.id}/roles"
    return shown | {"roles": roles, "roles_links": {"self": own, "next": None, "previous": None}}


@router.post("/OS-TRUST/trusts")
async def create_trust(request: Request, caller: AnyCaller) -> Response:
    """Make a trust; only the trustor itself can, with a token of its own."""
    identity = world_of(request).identity
    body = await read(request, "trust")
    _may_manage_trusts(caller)
    if body.get("trustor_user_id") != caller.user_id or body.get("project_id") != caller.project_id:
        raise denied("identity:create_trust")
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
    return answer({"trust": _trust(request, trust)}, 201)


@router.get("/OS-TRUST/trusts")
async def trusts(request: Request, caller: AnyCaller) -> Response:
    """The trusts that the caller gave or got; all of them for administrators."""
    identity = world_of(request).identity
    mine = [_trust(request, t, brief=True) for t in identity.trusts.values() if caller.is_admin or _party(caller, t)]
    return answer({"trusts": select(mine, request), "links": {}})


@router.get("/OS-TRUST/trusts/{trust_id}")
async def show_trust(request: Request, trust_id: str, caller: AnyCaller) -> Response:
    """One trust, for its two parties and administrators."""
    identity = world_of(request).identity
    return answer({"trust": _trust(request, _visible_trust(identity, trust_id, caller))})


@router.delete("/OS-TRUST/trusts/{trust_id}")
async def delete_trust(request: Request, trust_id: str, caller: AnyCaller) -> Response:
    """Take a trust back; its tokens die."""
    identity = world_of(request).identity
    trust = _visible_trust(identity, trust_id, caller)
    _may_manage_trusts(caller)
    if trust.trustor_user_id != caller.user_id:
        caller.require_admin()
    del identity.trusts[trust_id]
    return empty()


def _may_manage_trusts(caller: Caller) -> None:
    if caller.method == "trust":
        raise denied()
    if caller.delegated:
        raise denied("Delegated tokens cannot manage trusts.")


def _may_manage_credentials(caller: Caller) -> None:
    if caller.method == "trust":
        raise denied()
    if caller.delegated:
        raise denied(f"Using method '{caller.method}' is not allowed for managing additional application credentials.")


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
    _may_manage_credentials(caller)
    if caller.user_id != user_id or not caller.project_id:
        raise denied("identity:create_application_credential")
    name = body.get("name")
    if not isinstance(name, str) or not name:
        message = "Invalid input for field/attribute application_credential. "
        raise ApiFault(400, f"{message}Value: {body}. 'name' is a required property")
    if any(c.name == name for c in identity.credentials_of(user_id)):
        raise ApiFault(
            409,
            f"Conflict occurred attempting to store application_credential - Duplicate entry found with name {name}.",
        )
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
        unrestricted=body.get("unrestricted"),
        access_rules=[_rule(rule) for rule in body.get("access_rules") or ()],
    )
    identity.app_credentials[credential.id] = credential
    return answer({"application_credential": _credential(request, credential) | {"secret": secret}}, 201)


@router.get("/users/{user_id}/application_credentials")
async def credentials(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """A user's application credentials: one's own, or anybody's for administrators."""
    identity = world_of(request).identity
    if caller.user_id != user_id:
        caller.require_admin("identity:list_application_credentials")
    bodies = [_credential(request, c) for c in identity.credentials_of(user_id)]
    links = {"self": str(request.url), "next": None, "previous": None}
    return answer({"application_credentials": select(bodies, request), "links": links})


@router.get("/users/{user_id}/access_rules")
async def access_rules(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """The access rules of a user's application credentials."""
    if caller.user_id != user_id:
        caller.require_admin("identity:list_access_rules")
    found = world_of(request).identity.credentials_of(user_id)
    rules = [rule | self_link(request, "access_rules", rule["id"]) for one in found for rule in one.access_rules]
    return answer({"access_rules": rules, "links": {"self": str(request.url), "next": None, "previous": None}})


@router.get("/users/{user_id}/application_credentials/{credential_id}")
async def show_credential(request: Request, user_id: str, credential_id: str, caller: AnyCaller) -> Response:
    """One application credential, without its secret."""
    identity = world_of(request).identity
    return answer(
        {"application_credential": _credential(request, _owned(identity, user_id, credential_id, caller, "get"))}
    )


@router.delete("/users/{user_id}/application_credentials/{credential_id}")
async def delete_credential(request: Request, user_id: str, credential_id: str, caller: AnyCaller) -> Response:
    """Delete an application credential; its tokens die."""
    identity = world_of(request).identity
    _may_manage_credentials(caller)
    del identity.app_credentials[_owned(identity, user_id, credential_id, caller, "delete").id]
    return empty()


def _owned(identity: Identity, user_id: str, credential_id: str, caller: Caller, action: str) -> AppCredential:
    if caller.user_id != user_id:
        caller.require_admin(f"identity:{action}_application_credential")
    credential = identity.app_credentials.get(credential_id)
    if credential is None or credential.user_id != user_id:
        raise ApiFault(404, f"Could not find Application Credential: {credential_id}.")
    return credential


def _credential(request: Request, credential: AppCredential) -> Body:
    identity, expires = world_of(request).identity, None
    if credential.expires_at is not None:
        expires = identity.clock.iso(credential.expires_at, micros=True).removesuffix("Z")
    shown: Body = {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "roles": _roles(identity, credential.roles),
        "expires_at": expires,
        "unrestricted": credential.unrestricted,
        "user_id": credential.user_id,
        "system": None,
    } | self_link(request, "application_credentials", credential.id)
    return shown | ({"access_rules": credential.access_rules} if credential.access_rules else {})


def _roles(identity: Identity, names: tuple[str, ...]) -> list[Body]:
    return [role_body(name, identity.roles[name]) for name in names]


def _requested_roles(identity: Identity, body: Body, caller: Caller, *, status: int) -> tuple[str, ...]:
    """The roles to delegate: those named, else all of the token's. The caller must have every one of them."""
    if not body.get("roles"):
        return tuple(sorted(caller.roles))
    by_id = {role_id: name for name, role_id in identity.roles.items()}
    wanted = {str(spec.get("name") or by_id.get(spec.get("id", ""), "")) for spec in body["roles"]}
    if not wanted <= caller.roles:
        why = "Invalid application credential: Cannot create an application credential with unassigned role"
        message = why if status == 400 else f"Could not find role assignment for {sorted(wanted - caller.roles)}."
        raise ApiFault(status, message)
    return tuple(sorted(wanted)) if status == 403 else expand(wanted)


def _rule(rule: object) -> Body:
    """A checked access rule with an id. Raises ApiFault 400."""
    if not isinstance(rule, dict) or not all(isinstance(rule.get(k), str) for k in ("service", "method", "path")):
        raise ApiFault(400, "An access rule needs 'service', 'method' and 'path'.")
    if not rule["path"].startswith("/"):
        path = rule["path"]
        raise ApiFault(
            400, f"Invalid input for field/attribute path. Value: {path}. '{path}' does not match '^/\\\\.*'"
        )
    if rule["method"] not in _RULE_METHODS:
        raise ApiFault(400, f"Invalid access rule: {rule['method']} {rule['path']}.")
    return {"id": new_id(), "service": rule["service"], "method": rule["method"], "path": rule["path"]}


def _moment(value: object) -> float | None:
    """Unix seconds of an ISO 8601 time; None stays None. Raises ApiFault 400."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ApiFault(400, f"Timestamp not in expected format. {CLIENTS_ERROR}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
