"""Users, projects, domains, roles and who has which role where."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import AnyCaller, Caller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, base_url, empty, select
from cloudsim.identity.state import DEFAULT_DOMAIN, IMPLIED, Assignment, Identity, Project, User

router = APIRouter()
_DOMAIN = {"id": DEFAULT_DOMAIN, "name": "Default", "enabled": True, "description": "The default domain"}
_IN_DOMAIN = {"id": DEFAULT_DOMAIN, "name": "Default"}
_FLAGS = frozenset({"effective", "include_names", "include_subtree"})


def _user(request: Request, user: User) -> Body:
    shown: Body = {"id": user.id, "name": user.name, "domain_id": user.domain_id, "enabled": user.enabled}
    return shown | {"password_expires_at": None, "options": {}} | self_link(request, "users", user.id)


def _project(request: Request, project: Project) -> Body:
    shown: Body = {"id": project.id, "name": project.name, "domain_id": project.domain_id, "enabled": project.enabled}
    shown |= {"description": project.description, "is_domain": False, "parent_id": project.domain_id, "tags": []}
    return shown | {"options": {}} | self_link(request, "projects", project.id)


def _domain(request: Request) -> Body:
    return _DOMAIN | {"tags": [], "options": {}} | self_link(request, "domains", DEFAULT_DOMAIN)


def _listing(key: str, bodies: list[Body], request: Request) -> Response:
    links = {"self": str(request.url), "next": None, "previous": None}
    return answer({key: select(bodies, request, ignore=_FLAGS), "links": links})


def _admin_or(caller: Caller, rule: str, *, own: bool) -> None:
    if not own:
        caller.require_admin(rule)


@router.get("/users")
async def users(request: Request, caller: AnyCaller) -> Response:
    """All users; for administrators."""
    caller.require_admin("identity:list_users")
    return _listing("users", [_user(request, u) for u in world_of(request).identity.users.values()], request)


@router.get("/users/{user_id}")
async def show_user(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """One user: oneself, or any for administrators."""
    _admin_or(caller, "identity:get_user", own=caller.user_id == user_id)
    return answer({"user": _user(request, _known_user(world_of(request).identity, user_id))})


@router.delete("/users/{user_id}")
async def delete_user(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """Delete a user; the tokens, trusts and application credentials that hang on it die with it."""
    caller.require_admin("identity:delete_user")
    identity = world_of(request).identity
    _known_user(identity, user_id)
    del identity.users[user_id]
    identity.assignments = {a for a in identity.assignments if a.user_id != user_id}
    identity.app_credentials = {k: c for k, c in identity.app_credentials.items() if c.user_id != user_id}
    identity.trusts = {
        k: t for k, t in identity.trusts.items() if user_id not in (t.trustor_user_id, t.trustee_user_id)
    }
    return empty()


@router.get("/projects")
async def projects(request: Request, caller: AnyCaller) -> Response:
    """All projects; for administrators."""
    caller.require_admin("identity:list_projects")
    return _listing("projects", [_project(request, p) for p in world_of(request).identity.projects.values()], request)


@router.get("/auth/projects")
@router.get("/users/{user_id}/projects")
async def own_projects(request: Request, caller: AnyCaller, user_id: str | None = None) -> Response:
    """The projects in which a user (the caller) has a role."""
    _admin_or(caller, "identity:list_user_projects", own=user_id in (None, caller.user_id))
    identity = world_of(request).identity
    who = user_id or caller.user_id
    found = [_project(request, p) for p in identity.projects.values() if identity.roles_on_project(who, p)]
    return _listing("projects", found, request)


@router.get("/projects/{project_id}")
async def show_project(request: Request, project_id: str, caller: AnyCaller) -> Response:
    """One project: that of the caller's token, or any for administrators."""
    _admin_or(caller, "identity:get_project", own=caller.project_id == project_id)
    return answer({"project": _project(request, _known_project(world_of(request).identity, project_id))})


@router.get("/domains")
async def domains(request: Request, caller: AnyCaller) -> Response:
    """All domains, which is one."""
    caller.require_admin("identity:list_domains")
    return _listing("domains", [_domain(request)], request)


@router.get("/domains/{domain_id}")
async def show_domain(request: Request, domain_id: str, caller: AnyCaller) -> Response:
    """The domain."""
    caller.require_admin("identity:get_domain")
    if domain_id != DEFAULT_DOMAIN:
        raise ApiFault(404, f"Could not find domain: {domain_id}.")
    return answer({"domain": _domain(request)})


@router.get("/roles")
async def roles(request: Request, caller: AnyCaller) -> Response:
    """All roles; for administrators."""
    caller.require_admin("identity:list_roles")
    known = world_of(request).identity.roles
    found = [role_body(name, role_id) | self_link(request, "roles", role_id) for name, role_id in known.items()]
    return _listing("roles", found, request)


@router.get("/role_assignments")
async def role_assignments(request: Request, caller: AnyCaller) -> Response:
    """Assignments, filtered; with `effective` the inherited and implied ones are spelled out per project."""
    caller.require_admin("identity:list_role_assignments")
    identity = world_of(request).identity
    given = sorted(identity.assignments, key=lambda a: (a.user_id, a.role, a.project_id or "", a.domain_id or ""))
    shown = [(a, a) for a in given]
    if _flag(request, "effective"):
        shown = [(e, a) for a in given for e in _effective(identity, a)]
    bodies = [_assignment(request, e, a) for e, a in shown if _wanted(identity, e, request)]
    return answer({"role_assignments": bodies, "links": {"self": str(request.url), "next": None, "previous": None}})


@router.api_route("/projects/{project_id}/users/{user_id}/roles/{role_id}", methods=["PUT", "DELETE", "HEAD"])
async def project_role(request: Request, project_id: str, user_id: str, role_id: str, caller: AnyCaller) -> Response:
    """Grant, take away or check a role of a user on a project."""
    identity = world_of(request).identity
    _known_project(identity, project_id)
    return _change(request, caller, identity, user_id, role_id, project_id=project_id)


@router.api_route(
    "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    methods=["PUT", "DELETE", "HEAD"],
)
async def inherited_role(request: Request, domain_id: str, user_id: str, role_id: str, caller: AnyCaller) -> Response:
    """Grant, take away or check a role of a user on every project of a domain."""
    return _change(request, caller, world_of(request).identity, user_id, role_id, domain_id=domain_id)


def _change(
    request: Request,
    caller: Caller,
    identity: Identity,
    user_id: str,
    role_id: str,
    *,
    project_id: str | None = None,
    domain_id: str | None = None,
) -> Response:
    caller.require_admin("identity:create_grant" if request.method == "PUT" else "identity:revoke_grant")
    _known_user(identity, user_id)
    role = next((name for name, known in identity.roles.items() if known == role_id), None)
    if role is None:
        raise ApiFault(404, f"Could not find role: {role_id}.")
    changed = Assignment(user_id, role, project_id, domain_id, inherited=domain_id is not None)
    if request.method == "PUT":
        identity.assignments.add(changed)
    elif changed not in identity.assignments:
        who = f"user or group: {user_id}, project, domain, or system: {project_id or domain_id}"
        raise ApiFault(404, f"Could not find role assignment with role: {role_id}, {who}.")
    elif request.method == "DELETE":
        identity.assignments.remove(changed)
    return empty()


def _effective(identity: Identity, assignment: Assignment) -> list[Assignment]:
    """The assignment on each project it reaches, with each role it implies."""
    reached: list[str | None] = [assignment.project_id]
    if assignment.inherited:
        reached = [p.id for p in identity.projects.values() if p.domain_id == assignment.domain_id]
    names = (assignment.role, *IMPLIED.get(assignment.role, ()))
    domain_id = None if assignment.inherited else assignment.domain_id
    return [Assignment(assignment.user_id, name, where, domain_id) for where in reached for name in names]


def _wanted(identity: Identity, assignment: Assignment, request: Request) -> bool:
    facts = {
        "user.id": assignment.user_id,
        "role.id": identity.roles[assignment.role],
        "scope.project.id": assignment.project_id,
        "scope.domain.id": assignment.domain_id,
        "scope.OS-INHERIT:inherited_to": "projects" if assignment.inherited else None,
    }
    return all(facts[name] == value for name, value in request.query_params.items() if name in facts)


def _assignment(request: Request, assignment: Assignment, given: Assignment) -> Body:
    """An assignment, which follows from the one that was given or is that one."""
    identity, names = world_of(request).identity, _flag(request, "include_names")
    user = identity.users[assignment.user_id]
    role: Body = {"id": identity.roles[assignment.role]}
    who: Body = {"id": user.id}
    where: Body = {"id": assignment.project_id or assignment.domain_id}
    if names:
        role["name"], who["name"], who["domain"] = assignment.role, user.name, _IN_DOMAIN
        where["name"] = identity.projects[assignment.project_id].name if assignment.project_id else "Default"
        where |= {"domain": _IN_DOMAIN} if assignment.project_id else {}
    scope: Body = {"project" if assignment.project_id else "domain": where}
    if given.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return {"role": role, "user": who, "scope": scope, "links": _links_of(request, assignment, given)}


def _links_of(request: Request, assignment: Assignment, given: Assignment) -> Body:
    base, roles = f"{base_url(request)}/identity/v3", world_of(request).identity.roles
    place = f"projects/{given.project_id}" if given.project_id else f"domains/{given.domain_id}"
    tail = f"{place}/users/{given.user_id}/roles/{roles[given.role]}"
    links = {"assignment": f"{base}/OS-INHERIT/{tail}/inherited_to_projects" if given.inherited else f"{base}/{tail}"}
    if assignment.role != given.role:
        links["prior_role"] = f"{base}/prior_role/{roles[assignment.role]}/implies/{roles[given.role]}"
    return links


def self_link(request: Request, collection: str, found_id: str) -> Body:
    """Where a thing is, as Keystone adds it to everything."""
    return {"links": {"self": f"{base_url(request)}/identity/v3/{collection}/{found_id}"}}


def role_body(name: str, role_id: str) -> Body:
    """A role, as in lists and inside what it is delegated by."""
    return {"id": role_id, "name": name, "domain_id": None, "description": None, "options": {"immutable": True}}


def _flag(request: Request, name: str) -> bool:
    """Keystone's flags: given without a value means yes."""
    return request.query_params.get(name, "false").lower() not in {"false", "0"}


def _known_user(identity: Identity, user_id: str) -> User:
    user = identity.users.get(user_id)
    if user is None:
        raise ApiFault(404, f"Could not find user: {user_id}.")
    return user


def _known_project(identity: Identity, project_id: str) -> Project:
    project = identity.projects.get(project_id)
    if project is None:
        raise ApiFault(404, f"Could not find project: {project_id}.")
    return project
