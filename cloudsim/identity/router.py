"""Keystone's own door: discovery, logging in, validating and revoking tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import AnyCaller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, read
from cloudsim.identity import delegation, people, tokens
from cloudsim.identity.catalog import catalog
from cloudsim.identity.people import role_body
from cloudsim.identity.state import DEFAULT_DOMAIN, Identity, Token

router = APIRouter(prefix="/identity")
DOMAIN = {"id": DEFAULT_DOMAIN, "name": "Default"}


def _version(request: Request) -> Body:
    links = [{"rel": "self", "href": f"{base_url(request)}/identity/v3/"}]
    media = [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": links,
        "media-types": media,
    }


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    where = {"Location": f"{base_url(request)}/identity/v3/"}
    return answer({"versions": {"values": [_version(request)]}}, 300, where)


@router.get("/v3")
@router.get("/v3/")
async def version(request: Request) -> Response:
    """The one version there is."""
    return answer({"version": _version(request)})


@router.post("/v3/auth/tokens")
async def log_in(request: Request) -> Response:
    """Issue a token; its id is in the header X-Subject-Token."""
    world = world_of(request)
    token = tokens.authenticate(world.identity, await read(request, "auth"))
    body = _token_body(request, world.identity, token)
    return answer({"token": body}, 201, {"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


@router.get("/v3/auth/tokens")
async def validate(request: Request, caller: AnyCaller) -> Response:
    """What the token in X-Subject-Token stands for; 404 when it stands for nothing (any more)."""
    token = _subject(request, caller.token_id, privileged=bool(caller.roles & {"admin", "service"}))
    body = _token_body(request, world_of(request).identity, token)
    return answer({"token": body}, headers={"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


@router.head("/v3/auth/tokens")
async def check(request: Request, caller: AnyCaller) -> Response:
    """As validate, without the body."""
    token = _subject(request, caller.token_id, privileged=bool(caller.roles & {"admin", "service"}))
    return empty(200, {"X-Subject-Token": token.id, "Vary": "X-Auth-Token"})


@router.delete("/v3/auth/tokens")
async def revoke(request: Request, caller: AnyCaller) -> Response:
    """Revoke the token in X-Subject-Token: one's own, or any when admin."""
    _subject(request, caller.token_id, privileged=caller.is_admin).revoked = True
    return empty()


@router.get("/v3/auth/catalog")
async def own_catalog(request: Request, caller: AnyCaller) -> Response:
    """The catalog of the caller's scope."""
    return answer({"catalog": _catalog(request, caller.project_id), "links": {"self": str(request.url)}})


def _catalog(request: Request, project_id: str) -> list[dict[str, Any]]:
    settings = world_of(request).settings
    return catalog(base_url(request), settings.container_url, project_id, settings.without)


def _subject(request: Request, own_token_id: str, *, privileged: bool) -> Token:
    """The token that the request is about. Raises ApiFault 403 or 404."""
    identity = world_of(request).identity
    subject_id = request.headers.get("x-subject-token", "")
    if subject_id != own_token_id and not privileged:
        raise ApiFault(403, "You are not authorized to perform the requested action: identity:validate_token.")
    late = request.query_params.get("allow_expired", "").lower() in {"1", "true"}
    token = tokens.valid(identity, subject_id, allow_expired=late)
    # A service that does not understand access rules must not be told that the token is good.
    knows_rules = request.headers.get("openstack-identity-access-rules") is not None
    if not subject_id:
        raise ApiFault(404, "No token in the request")
    if token is None and subject_id not in identity.tokens:
        raise ApiFault(404, "Could not recognize Fernet token")
    if token is None or (_has_rules(identity, token) and not knows_rules):
        raise ApiFault(404, "Failed to validate token")
    return token


def _has_rules(identity: Identity, token: Token) -> bool:
    credential = identity.app_credentials.get(token.app_credential_id or "")
    return credential is not None and bool(credential.access_rules)


def _token_body(request: Request, identity: Identity, token: Token) -> Body:
    user = identity.users[token.user_id]
    clock = identity.clock
    body: Body = {
        "methods": list(token.methods),
        "user": {"id": user.id, "name": user.name, "domain": DOMAIN, "password_expires_at": None},
        "audit_ids": list(token.audit_ids),
        "issued_at": clock.iso(token.issued_at, micros=True),
        "expires_at": clock.iso(token.expires_at, micros=True),
    }
    if token.domain_id:
        body["domain"] = {"id": token.domain_id, "name": "Default"}
    if token.project_id:
        project = identity.projects[token.project_id]
        body["project"] = {"id": project.id, "name": project.name, "domain": DOMAIN}
        if token.trust_id is None:
            body["is_domain"] = False
    if token.project_id or token.domain_id:
        held = tokens.roles_of(identity, token)
        body["roles"] = [role_body(r, identity.roles[r]) if token.trust_id else _role(identity, r) for r in held]
        if "nocatalog" not in request.query_params:
            body["catalog"] = _catalog(request, token.project_id or "")
    return body | _delegation_body(identity, token)


def _role(identity: Identity, name: str) -> Body:
    return {"id": identity.roles[name], "name": name}


def _delegation_body(identity: Identity, token: Token) -> dict[str, Any]:
    trust = identity.trusts.get(token.trust_id or "")
    if trust is not None:
        facts = {"id": trust.id, "impersonation": trust.impersonation}
        users = {"trustor_user": {"id": trust.trustor_user_id}, "trustee_user": {"id": trust.trustee_user_id}}
        return {"OS-TRUST:trust": facts | users}
    credential = identity.app_credentials.get(token.app_credential_id or "")
    if credential is None:
        return {}
    shown: Body = {"id": credential.id, "name": credential.name, "restricted": not credential.unrestricted}
    if credential.access_rules:
        shown["access_rules"] = credential.access_rules
    return {"application_credential": shown}


router.include_router(people.router, prefix="/v3")
router.include_router(delegation.router, prefix="/v3")
