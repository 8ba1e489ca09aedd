"""Keystone v3: application credentials and trusts, and what their tokens may not."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Json, Talk

V: Final = "/v3"
TOKENS: Final = f"{V}/auth/tokens"
_INSTALLED: Final = ("token.catalog",)
_STACK: Final = {
    "stack_name": "rec-x",
    "template": "heat_template_version: 2018-03-02\nresources:\n  nothing: {type: OS::Heat::RandomString}\n",
}


def _own(talk: Talk, who: str = "demo") -> str:
    return f"{V}/users/{talk.named(f'<user:{who}>')}/application_credentials"


def _made(talk: Talk, body: Json) -> Json:
    made = talk.ask("POST", _own(talk), {"application_credential": body}).body["application_credential"]
    talk.remove(f"{_own(talk)}/{made['id']}")
    return made


def _login(made: Json) -> Json:
    by = {"id": made["id"], "secret": made["secret"]}
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": by}}}


def application_credentials(talk: Talk) -> None:
    """A node's credential from its making to its end."""
    own = _own(talk)
    wanted = {"name": "rec-bay-1", "description": "of the bay x", "roles": [{"name": "member"}], "unrestricted": False}
    made = _made(talk, wanted)
    _made(talk, {"name": "rec-bay-2", "expires_at": "2036-01-01T00:00:00.000000Z"})
    talk.ask("POST", own, {"application_credential": wanted})
    talk.ask("POST", own, {"application_credential": wanted | {"name": "rec-3", "roles": [{"name": "admin"}]}})
    talk.ask("POST", own, {"application_credential": {"description": "no name"}})
    talk.ask("POST", own, {"application_credential": wanted | {"name": "rec-3", "expires_at": "soon"}})
    talk.ask("POST", own, {"application_credential": wanted}, who="other")
    talk.ask("POST", own, {"application_credential": wanted}, who="admin")
    talk.ask("GET", own)
    talk.ask("GET", f"{own}?name=rec-bay-1")
    talk.ask("GET", f"{own}?name=rec-none")
    talk.ask("GET", f"{own}?name=rec-bay-1", who="admin")
    talk.ask("GET", own, who="other")
    talk.ask("GET", f"{own}/{made['id']}")
    token = talk.ask("POST", TOKENS, _login(made), who="nobody", sample=_INSTALLED).headers["X-Subject-Token"]
    wrong = made | {"secret": "wrong-secret"}
    talk.ask("POST", TOKENS, _login(wrong), who="nobody")
    talk.ask("POST", TOKENS, _login(wrong | {"id": NOBODY.replace("-", "")}), who="nobody")
    rules = {"OpenStack-Identity-Access-Rules": "1.0"}
    talk.ask("GET", TOKENS, who="admin", headers={"X-Subject-Token": token} | rules, sample=_INSTALLED)
    talk.ask("POST", own, {"application_credential": wanted | {"name": "rec-3"}}, who=token)
    talk.ask("DELETE", f"{own}/{made['id']}", who=token)
    talk.ask("POST", f"{V}/OS-TRUST/trusts", {"trust": _trust(talk)}, who=token)
    talk.ask("POST", f"/v1/{talk.project()}/stacks", _STACK, who=token, service="orchestration")
    talk.ask("DELETE", f"{own}/{made['id']}", who="other")
    talk.ask("DELETE", f"{own}/{made['id']}")
    talk.ask("DELETE", f"{own}/{made['id']}")
    talk.ask("GET", f"{own}/{made['id']}")
    talk.ask("POST", TOKENS, _login(made), who="nobody")
    talk.ask("GET", f"{V}/auth/catalog", who=token)
    second = talk.steps[1]["answer"]["application_credential"]["name"]
    listed = talk.ask("GET", f"{own}?name={second}", who="admin").body["application_credentials"]
    talk.ask("DELETE", f"{own}/{listed[0]['id']}", who="admin")


def access_rules(talk: Talk) -> None:
    """A credential for some paths only. (A service whose configuration lacks its service_type refuses all of them.)"""
    rules = [{"service": "network", "method": "GET", "path": "/v2.0/networks"}]
    rules.append({"service": "network", "method": "GET", "path": "/v2.0/networks/*"})
    made = _made(talk, {"name": "rec-rules", "roles": [{"name": "member"}], "access_rules": rules})
    bad = {"service": "network", "method": "NONSENSE", "path": "v2.0"}
    talk.ask("POST", _own(talk), {"application_credential": {"name": "rec-bad", "access_rules": [bad]}})
    token = talk.ask("POST", TOKENS, _login(made), who="nobody", sample=_INSTALLED).headers["X-Subject-Token"]
    subject = {"X-Subject-Token": token}
    with_rules = subject | {"OpenStack-Identity-Access-Rules": "1.0"}
    talk.ask("GET", TOKENS, who="admin", headers=with_rules, sample=_INSTALLED)
    talk.ask("GET", TOKENS, who="admin", headers=subject)
    talk.ask("GET", "/v2.0/subnets?name=rec-none", who=token, service="network")
    talk.ask("POST", "/v2.0/networks", {"network": {}}, who=token, service="network")
    talk.ask("GET", "/v2.1/servers", who=token, service="compute")
    talk.ask("GET", f"{V}/auth/projects", who=token)
    talk.ask("GET", f"{V}/users/{talk.named('<user:demo>')}/access_rules")


def _trust(talk: Talk) -> Json:
    trust = {"trustor_user_id": talk.named("<user:demo>"), "trustee_user_id": talk.named("<user:other>")}
    return trust | {"project_id": talk.project(), "impersonation": True, "roles": [{"name": "member"}]}


def trusts(talk: Talk) -> None:
    """A trust, whose token makes nothing that outlives it."""
    trust = talk.ask("POST", f"{V}/OS-TRUST/trusts", {"trust": _trust(talk)}).body["trust"]["id"]
    talk.remove(f"{V}/OS-TRUST/trusts/{trust}")
    talk.ask("GET", f"{V}/OS-TRUST/trusts/{trust}", who="other")
    talk.ask("GET", f"{V}/OS-TRUST/trusts/{NOBODY.replace('-', '')}")
    talk.ask("POST", f"{V}/OS-TRUST/trusts", {"trust": _trust(talk)}, who="other")
    named = {"name": "rec-other", "domain": {"name": "Default"}, "password": talk.cloud.password}
    login: Json = {"identity": {"methods": ["password"], "password": {"user": named}}}
    login["scope"] = {"OS-TRUST:trust": {"id": trust}}
    token = talk.ask("POST", TOKENS, {"auth": login}, who="nobody", sample=_INSTALLED).headers["X-Subject-Token"]
    talk.ask("POST", _own(talk), {"application_credential": {"name": "rec-x"}}, who=token)
    talk.ask("POST", f"{V}/OS-TRUST/trusts", {"trust": _trust(talk)}, who=token)
    talk.ask("POST", f"/v1/{talk.project()}/stacks", _STACK, who=token, service="orchestration")
    talk.ask("GET", f"/v1/{talk.project()}/stacks?name=rec-x", service="orchestration")
    talk.ask("DELETE", f"{V}/OS-TRUST/trusts/{trust}")
    talk.ask("POST", TOKENS, {"auth": login}, who="nobody")
