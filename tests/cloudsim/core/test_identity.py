"""Keystone: logging in four ways, what a token says, when it stops standing, and who may delegate what."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id, user_id
from cloudsim.world import World
from tests.cloudsim.core.conftest import Login, auth_body

TOKENS = "/identity/v3/auth/tokens"


async def _auth(client: httpx.AsyncClient, identity: dict[str, Any], scope: object = None) -> httpx.Response:
    body: dict[str, Any] = {"identity": identity}
    return await client.post(TOKENS, json={"auth": body | ({"scope": scope} if scope else {})})


async def _trust(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    trust = {
        "trustor_user_id": user_id("demo"),
        "trustee_user_id": user_id("jeroboam"),
        "project_id": project_id("demo"),
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    return await client.post("/identity/v3/OS-TRUST/trusts", json={"trust": trust}, headers=headers)


async def _credential(client: httpx.AsyncClient, headers: dict[str, str], **attrs: Any) -> httpx.Response:
    url = f"/identity/v3/users/{user_id('demo')}/application_credentials"
    return await client.post(url, json={"application_credential": {"name": "ac", **attrs}}, headers=headers)


async def _credential_login(client: httpx.AsyncClient, made: httpx.Response) -> dict[str, str]:
    credential = made.json()["application_credential"]
    details = {"id": credential["id"], "secret": credential["secret"]}
    method = "application_credential"
    answer = await _auth(client, {"methods": [method], method: details})
    assert answer.status_code == 201, answer.text
    return {"X-Auth-Token": answer.headers["X-Subject-Token"]}


async def test_discovery(client: httpx.AsyncClient) -> None:
    answer = await client.get("/identity")
    assert answer.status_code == 300
    href = answer.json()["versions"]["values"][0]["links"][0]["href"]
    assert (await client.get(href)).json()["version"]["status"] == "stable"


async def test_a_project_token_carries_project_roles_and_catalog(client: httpx.AsyncClient) -> None:
    answer = await client.post(TOKENS, json=auth_body("demo", "demo"))
    token = answer.json()["token"]
    assert token["project"]["id"] == project_id("demo")
    assert {r["name"] for r in token["roles"]} == {"member", "reader"}
    urls = {s["type"]: s["endpoints"][0]["url"] for s in token["catalog"]}
    assert urls["orchestration"] == f"http://cloud/orchestration/v1/{project_id('demo')}"
    assert urls["container-infra"] == urls["container"]
    assert urls["container"].endswith("/v1")
    assert {"identity", "compute", "network", "image", "volumev3"} <= set(urls)


async def test_without_scope_a_token_is_unscoped_and_can_be_scoped(client: httpx.AsyncClient) -> None:
    answer = await client.post(TOKENS, json=auth_body("demo", None))
    assert "project" not in answer.json()["token"]
    assert "catalog" not in answer.json()["token"]
    unscoped = answer.headers["X-Subject-Token"]
    again = await _auth(
        client, {"methods": ["token"], "token": {"id": unscoped}}, {"project": {"id": project_id("demo")}}
    )
    token = again.json()["token"]
    assert token["methods"] == ["token", "password"]
    assert token["expires_at"] == answer.json()["token"]["expires_at"]
    refused = await client.get("/compute/v2.1/servers", headers={"X-Auth-Token": unscoped})
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("user", "project", "password"), [("demo", "demo", "wrong"), ("nobody", "demo", None), ("demo", "alt", None)]
)
async def test_a_bad_login_is_401_and_does_not_say_why(
    client: httpx.AsyncClient, user: str, project: str, password: str | None
) -> None:
    answer = await client.post(TOKENS, json=auth_body(user, project, password))
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "The request you have made requires authentication."
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


async def test_the_service_user_is_member_of_every_project_by_inheritance(
    client: httpx.AsyncClient, login: Login
) -> None:
    for project in ("demo", "alt", "admin"):
        await login("jeroboam", project)
    headers = await login("jeroboam", "service")
    url = f"/identity/v3/role_assignments?user.id={user_id('jeroboam')}&scope.OS-INHERIT:inherited_to=projects"
    found = (await client.get(url + "&include_names", headers=headers)).json()["role_assignments"]
    assert [(a["role"]["name"], a["scope"]["domain"]["id"]) for a in found] == [("member", "default")]
    url = f"/identity/v3/role_assignments?effective&user.id={user_id('jeroboam')}&scope.project.id={project_id('alt')}"
    effective = (await client.get(url, headers=headers)).json()["role_assignments"]
    assert len(effective) == 2


async def test_taking_the_inherited_role_away_locks_the_service_user_out(
    client: httpx.AsyncClient, login: Login
) -> None:
    inside = await login("jeroboam", "demo")
    admin = await login("admin")
    roles = (await client.get("/identity/v3/roles?name=member", headers=admin)).json()["roles"]
    url = f"/identity/v3/OS-INHERIT/domains/default/users/{user_id('jeroboam')}/roles/{roles[0]['id']}"
    assert (await client.delete(url + "/inherited_to_projects", headers=admin)).status_code == 204
    assert (await client.post(TOKENS, json=auth_body("jeroboam", "demo"))).status_code == 401
    assert (await client.get("/compute/v2.1/servers", headers=inside)).status_code == 401


async def test_validation(client: httpx.AsyncClient, login: Login, world: World) -> None:
    service, user = await login("jeroboam", "service"), await login()
    subject = {"X-Subject-Token": user["X-Auth-Token"]}
    answer = await client.get(TOKENS, headers=service | subject)
    assert answer.json()["token"]["user"]["name"] == "demo"
    assert "catalog" in answer.json()["token"]
    assert "catalog" not in (await client.get(f"{TOKENS}?nocatalog", headers=service | subject)).json()["token"]
    assert (await client.head(TOKENS, headers=service | subject)).status_code == 200
    assert (await client.get(TOKENS, headers=service | {"X-Subject-Token": "unknown"})).status_code == 404
    assert (await client.get(TOKENS, headers={"X-Auth-Token": "bad"} | subject)).status_code == 401
    other = await login("alt")
    assert (await client.get(TOKENS, headers=other | subject)).status_code == 403


async def test_expiry(client: httpx.AsyncClient, login: Login, world: World) -> None:
    world.settings.token_seconds = 600
    user = await login()
    await world.clock.advance(599)
    assert (await client.get("/compute/v2.1/flavors", headers=user)).status_code == 200
    await world.clock.advance(1)
    assert (await client.get("/compute/v2.1/flavors", headers=user)).status_code == 401
    both = await login("jeroboam", "service") | {"X-Subject-Token": user["X-Auth-Token"]}
    assert (await client.get(TOKENS, headers=both)).status_code == 404
    assert (await client.get(f"{TOKENS}?allow_expired=1", headers=both)).status_code == 200


async def test_a_revoked_token_is_unknown(client: httpx.AsyncClient, login: Login) -> None:
    user = await login()
    both = user | {"X-Subject-Token": user["X-Auth-Token"]}
    assert (await client.delete(TOKENS, headers=both)).status_code == 204
    assert (await client.get("/compute/v2.1/flavors", headers=user)).status_code == 401


async def test_a_trust_gives_the_trustor_s_rights_and_nothing_more(client: httpx.AsyncClient, login: Login) -> None:
    made = await _trust(client, await login())
    assert made.status_code == 201, made.text
    identity = auth_body("jeroboam", None)["auth"]["identity"]
    trust_id = made.json()["trust"]["id"]
    answer = await _auth(client, identity, {"OS-TRUST:trust": {"id": trust_id}})
    token = answer.json()["token"]
    assert token["user"]["name"] == "demo"
    assert token["OS-TRUST:trust"]["trustee_user"]["id"] == user_id("jeroboam")
    assert [r["name"] for r in token["roles"]] == ["member", "reader"]
    delegated = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    assert (await _trust(client, delegated)).status_code == 403
    assert (await _credential(client, delegated)).status_code == 403
    assert (await client.delete(f"/identity/v3/OS-TRUST/trusts/{trust_id}", headers=await login())).status_code == 204
    assert (await client.get("/compute/v2.1/flavors", headers=delegated)).status_code == 401


async def test_a_restricted_application_credential_cannot_delegate(client: httpx.AsyncClient, login: Login) -> None:
    made = await _credential(client, await login(), roles=[{"name": "reader"}])
    delegated = await _credential_login(client, made)
    shown = await client.get(TOKENS, headers=delegated | {"X-Subject-Token": delegated["X-Auth-Token"]})
    assert shown.json()["token"]["application_credential"]["restricted"] is True
    assert [r["name"] for r in shown.json()["token"]["roles"]] == ["reader"]
    assert (await _trust(client, delegated)).status_code == 403
    assert (await _credential(client, delegated, name="other")).status_code == 403


async def test_an_unrestricted_one_can(client: httpx.AsyncClient, login: Login) -> None:
    headers = await _credential_login(client, await _credential(client, await login(), unrestricted=True))
    assert (await _trust(client, headers)).status_code == 201


async def test_the_secret_is_shown_once_and_names_are_unique(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    made = await _credential(client, headers)
    url = f"/identity/v3/users/{user_id('demo')}/application_credentials"
    assert "secret" in made.json()["application_credential"]
    assert (await _credential(client, headers)).status_code == 409
    listed = (await client.get(f"{url}?name=ac", headers=headers)).json()["application_credentials"]
    assert [("secret" in c, c["name"]) for c in listed] == [(False, "ac")]


async def test_an_administrator_lists_and_deletes_another_user_s(client: httpx.AsyncClient, login: Login) -> None:
    made = await _credential(client, await login())
    held = await _credential_login(client, made)
    admin = await login("jeroboam", "service")
    url = f"/identity/v3/users/{user_id('demo')}/application_credentials"
    listed = (await client.get(url, headers=admin)).json()["application_credentials"]
    assert (await client.get(url, headers=await login("alt"))).status_code == 403
    assert (await client.delete(f"{url}/{listed[0]['id']}", headers=admin)).status_code == 204
    assert (await client.get("/compute/v2.1/flavors", headers=held)).status_code == 401


async def test_access_rules_bound_what_a_credential_reaches(client: httpx.AsyncClient, login: Login) -> None:
    rules = [
        {"service": "compute", "method": "GET", "path": "/v2.1/servers/*"},
        {"service": "network", "method": "GET", "path": "/v2.0/**"},
    ]
    headers = await _credential_login(client, await _credential(client, await login(), access_rules=rules))
    assert (await client.get("/network/v2.0/ports", headers=headers)).status_code == 200
    assert (await client.get("/compute/v2.1/servers/detail", headers=headers)).status_code == 200
    assert (await client.get("/compute/v2.1/servers", headers=headers)).status_code == 401
    assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 401
    service = await login("jeroboam", "service") | {"X-Subject-Token": headers["X-Auth-Token"]}
    assert (await client.get(TOKENS, headers=service)).status_code == 404
    knowing = service | {"OpenStack-Identity-Access-Rules": "1.0"}
    shown = (await client.get(TOKENS, headers=knowing)).json()["token"]["application_credential"]
    assert [r["path"] for r in shown["access_rules"]] == ["/v2.1/servers/*", "/v2.0/**"]


async def test_deleting_a_user_ends_what_hangs_on_it(client: httpx.AsyncClient, login: Login, world: World) -> None:
    user = await login()
    await _credential(client, user)
    admin = await login("admin")
    assert (await client.delete(f"/identity/v3/users/{user_id('demo')}", headers=admin)).status_code == 204
    assert (await client.get("/compute/v2.1/flavors", headers=user)).status_code == 401
    assert world.identity.app_credentials == {}


async def test_people_are_for_administrators(client: httpx.AsyncClient, login: Login) -> None:
    user, admin = await login(), await login("admin")
    for url in ("/users", "/projects", "/role_assignments", "/domains", "/roles"):
        assert (await client.get(f"/identity/v3{url}", headers=user)).status_code == 403
        assert (await client.get(f"/identity/v3{url}", headers=admin)).status_code == 200
    named = (await client.get("/identity/v3/projects?name=demo", headers=admin)).json()["projects"]
    assert [p["id"] for p in named] == [project_id("demo")]
    assert (await client.get(f"/identity/v3/users/{user_id('demo')}", headers=user)).status_code == 200
    assert (await client.get(f"/identity/v3/projects/{'0' * 32}", headers=admin)).status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"auth": 1}', b'{"auth": {}}', b'{"auth": {"identity": []}}'])
async def test_a_body_that_is_no_login_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(TOKENS, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
