"""Users, projects, domains, roles and who has which role where."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloudsim.auth import AnyCaller, Caller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, answer, empty, select
from cloudsim.identity.state import DEFAULT_DOMAIN, IMPLIED, Assignment, Identity, Project, User

router = APIRouter()
_DOMAIN = {"id": DEFAULT_DOMAIN, "name": "Default", "enabled": True, "description": "The default domain"}
_FLAGS = frozenset({"effective", "include_names", "include_subtree"})


def _user(user: User) -> Body:
    return {"id": user.id, "name": user.name, "domain_id": user.domain_id, "enabled": user.enabled, "links": {}}


def _project(project: Project) -> Body:
    shown: Body = {"id": project.id, "name": project.name, "domain_id": project.domain_id, "enabled": project.enabled}
    return shown | {"description": project.description, "is_domain": False, "parent_id": project.domain_id, "tags": []}


def _listing(key: str, bodies: list[Body], request: Request) -> Response:
    links = {"self": str(request.url), "next": None, "previous": None}
    return answer({key: select(bodies, request, ignore=_FLAGS), "links": links})


def _admin_or(caller: Caller, *, own: bool) -> None:
    if not own:
        caller.require_admin()


@router.get("/users")
async def users(request: Request, caller: AnyCaller) -> Response:
    """All users; for administrators."""
    caller.require_admin()
    return _listing("users", [_user(u) for u in world_of(request).identity.users.values()], request)


@router.get("/users/{user_id}")
async def show_user(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """One user: oneself, or any for administrators."""
    _admin_or(caller, own=caller.user_id == user_id)
    return answer({"user": _user(_known_user(world_of(request).identity, user_id))})


@router.delete("/users/{user_id}")
async def delete_user(request: Request, user_id: str, caller: AnyCaller) -> Response:
    """Delete a user; the tokens, trusts and application credentials that hang on it die with it."""
    caller.require_admin()
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
    caller.require_admin()
    return _listing("projects", [_project(p) for p in world_of(request).identity.projects.values()], request)


@router.get("/auth/projects")
@router.get("/users/{user_id}/projects")
async def own_projects(request: Request, caller: AnyCaller, user_id: str | None = None) -> Response:
    """The projects in which a user (the caller) has a role."""
    _admin_or(caller, own=user_id in (None, caller.user_id))
    identity = world_of(request).identity
    who = user_id or caller.user_id
    found = [_project(p) for p in identity.projects.values() if identity.roles_on_project(who, p)]
    return _listing("projects", found, request)


@router.get("/projects/{project_id}")
async def show_project(request: Request, project_id: str, caller: AnyCaller) -> Response:
    """One project: that of the caller's token, or any for administrators."""
    _admin_or(caller, own=caller.project_id == project_id)
    return answer({"project": _project(_known_project(world_of(request).identity, project_id))})


@router.get("/domains")
async def domains(request: Request, caller: AnyCaller) -> Response:
    """All domains, which is one."""
    caller.require_admin()
    return _listing("domains", [dict(_DOMAIN)], request)


@router.get("/domains/{domain_id}")
async def show_domain(domain_id: str, caller: AnyCaller) -> Response:
    """The domain."""
    caller.require_admin()
    if domain_id != DEFAULT_DOMAIN:
        raise ApiFault(404, f"Could not find domain: {domain_id}.")
    return answer({"domain": _DOMAIN})


@router.get("/roles")
async def roles(request: Request, caller: AnyCaller) -> Response:
    """All roles; for administrators."""
    caller.require_admin()
    known = world_of(request).identity.roles
    found: list[Body] = [{"id": i, "name": n, "domain_id": None, "description": None} for n, i in known.items()]
    return _listing("roles", found, request)


@router.get("/role_assignments")
async def role_assignments(request: Request, caller: AnyCaller) -> Response:
    """Assignments, filtered; with `effective` the inherited and implied ones are spelled out per project."""
    caller.require_admin()
    identity = world_of(request).identity
    shown = sorted(identity.assignments, key=lambda a: (a.user_id, a.role, a.project_id or "", a.domain_id or ""))
    if _flag(request, "effective"):
        shown = [e for a in shown for e in _effective(identity, a)]
    names = _flag(request, "include_names")
    bodies = [_assignment(identity, a, names=names) for a in shown if _wanted(identity, a, request)]
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
    caller.require_admin()
    _known_user(identity, user_id)
    role = next((name for name, known in identity.roles.items() if known == role_id), None)
    if role is None:
        raise ApiFault(404, f"Could not find role: {role_id}.")
    changed = Assignment(user_id, role, project_id, domain_id, inherited=domain_id is not None)
    if request.method == "PUT":
        identity.assignments.add(changed)
    elif changed not in identity.assignments:
        raise ApiFault(404, "Could not find role assignment.")
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


def _assignment(identity: Identity, assignment: Assignment, *, names: bool) -> Body:
    user = identity.users[assignment.user_id]
    role: Body = {"id": identity.roles[assignment.role]}
    who: Body = {"id": user.id}
    where: Body = {"id": assignment.project_id or assignment.domain_id}
    if names:
        role["name"], who["name"], who["domain"] = assignment.role, user.name, dict(_DOMAIN)
        where["name"] = identity.projects[assignment.project_id].name if assignment.project_id else "Default"
    scope: Body = {"project" if assignment.project_id else "domain": where}
    if assignment.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return {"role": role, "user": who, "scope": scope, "links": {}}


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
