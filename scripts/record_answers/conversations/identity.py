"""Keystone v3: tokens, catalogs, projects. What one hands on to others is in `delegation`."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.cloud import user_name
from scripts.record_answers.conversations import delegation
from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Json, Talk

V: Final = "/v3"
TOKENS: Final = f"{V}/auth/tokens"
INSTALLED: Final = ("token.catalog", "token.roles")
"""What every installation has its own of."""


def login(talk: Talk, user: str = "rec-demo", project: str | None = "rec-demo", password: str = "") -> Json:
    """The body of a login by name."""
    named = {"name": user, "domain": {"name": "Default"}, "password": password or talk.cloud.password}
    body: dict[str, Json] = {"identity": {"methods": ["password"], "password": {"user": named}}}
    return {"auth": body | ({"scope": {"project": _project(project)}} if project else {"scope": "unscoped"})}


def _project(name: str) -> Json:
    return {"name": name, "domain": {"name": "Default"}}


def tokens(talk: Talk) -> None:
    """Logins, good and bad."""
    talk.ask("GET", "/", who="nobody")
    talk.ask("GET", V, who="nobody")
    talk.ask("POST", TOKENS, login(talk), who="nobody", sample=INSTALLED)
    talk.ask("POST", f"{TOKENS}?nocatalog", login(talk), who="nobody", sample=("token.roles",))
    unscoped = talk.ask("POST", TOKENS, login(talk, project=None), who="nobody").headers["X-Subject-Token"]
    talk.ask("POST", TOKENS, login(talk, password="wrong"), who="nobody")
    talk.ask("POST", TOKENS, login(talk, user="rec-none"), who="nobody")
    talk.ask("POST", TOKENS, login(talk, project="rec-other"), who="nobody")
    talk.ask("POST", TOKENS, login(talk, project="rec-none"), who="nobody")
    talk.ask("POST", TOKENS, {"nonsense": {}}, who="nobody")
    talk.ask("POST", TOKENS, "no JSON", who="nobody")
    by_token: Json = {"identity": {"methods": ["token"], "token": {"id": unscoped}}}
    by_token["scope"] = {"project": {"id": talk.project()}}
    talk.ask("POST", TOKENS, {"auth": by_token}, who="nobody", sample=INSTALLED)
    talk.ask("GET", f"{V}/auth/catalog", sample=("catalog",))
    talk.ask("GET", f"{V}/auth/projects")
    talk.ask("GET", f"{V}/auth/projects", who="nobody")


def validation(talk: Talk) -> None:
    """What the gateway asks of a caller's token."""
    rules = {"OpenStack-Identity-Access-Rules": "1.0"}
    own = talk.ask("POST", TOKENS, login(talk), who="nobody", sample=INSTALLED).headers["X-Subject-Token"]
    subject = {"X-Subject-Token": own}
    talk.ask("GET", TOKENS, who="admin", headers=subject | rules, sample=INSTALLED)
    talk.ask("GET", f"{TOKENS}?allow_expired=1", who="admin", headers=subject | rules, sample=INSTALLED)
    talk.ask("HEAD", TOKENS, who="admin", headers=subject)
    talk.ask("GET", TOKENS, who=own, headers=subject, sample=INSTALLED)
    talk.ask("GET", TOKENS, who="other", headers=subject)
    talk.ask("GET", TOKENS, who="nobody", headers=subject)
    talk.ask("GET", TOKENS, who="wrong-token", headers=subject)
    talk.ask("GET", TOKENS, who="admin", headers={"X-Subject-Token": "wrong-token"} | rules)
    talk.ask("GET", TOKENS, who="admin")
    talk.ask("DELETE", TOKENS, who=own, headers=subject)
    talk.ask("GET", TOKENS, who="admin", headers=subject | rules)


def projects(talk: Talk) -> None:
    """Whether a project still exists, and who may ask."""
    for who in ("demo", "other", "admin"):
        talk.ask("GET", f"{V}/projects/{talk.project()}", who=who)
    talk.ask("GET", f"{V}/projects/{NOBODY}", who="admin")
    talk.ask("GET", f"{V}/projects/{NOBODY}")
    talk.ask("GET", f"{V}/projects?name=rec-demo", who="admin")
    talk.ask("GET", f"{V}/projects?name=rec-demo")
    talk.ask("GET", f"{V}/users?name={user_name('demo')}", who="admin")
    talk.ask("GET", f"{V}/users/{talk.named('<user:demo>')}")
    talk.ask("GET", f"{V}/users/{NOBODY}", who="admin")
    talk.ask("GET", f"{V}/domains/default", who="admin")
    talk.ask("GET", f"{V}/domains?name=Default", who="admin")
    talk.ask("GET", f"{V}/domains/none", who="admin")


def assignments(talk: Talk) -> None:
    """The role that an operator grants our service user on every project of a domain, and how to look for it."""
    user, role = talk.named("<user:other>"), talk.named("<role:member>")
    inherited = f"{V}/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects"
    talk.ask("GET", f"{V}/roles?name=member", who="admin")
    talk.ask("GET", f"{V}/roles?name=member")
    talk.ask("POST", TOKENS, login(talk, user="rec-other"), who="nobody")
    talk.ask("HEAD", inherited, who="admin")
    talk.ask("PUT", inherited)
    talk.ask("PUT", inherited, who="admin")
    talk.remove(inherited, who="admin")
    talk.ask("HEAD", inherited, who="admin")
    talk.ask("GET", f"{V}/role_assignments?user.id={user}&include_names=true", who="admin")
    talk.ask("GET", f"{V}/role_assignments?user.id={user}&scope.project.id={talk.project()}&effective", who="admin")
    talk.ask("POST", TOKENS, login(talk, user="rec-other"), who="nobody", sample=INSTALLED)
    talk.ask("DELETE", inherited, who="admin")
    talk.ask("DELETE", inherited, who="admin")


CONVERSATIONS: Final = {
    "tokens": tokens,
    "validation": validation,
    "projects": projects,
    "assignments": assignments,
    "application_credentials": delegation.application_credentials,
    "access_rules": delegation.access_rules,
    "trusts": delegation.trusts,
}
