"""The real cloud: where its services are, and the two projects and three users that the recordings are made as."""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import yaml

from scripts.record_answers.leftovers import clear

PROJECTS: Final = ("rec-demo", "rec-other")
USERS: Final = {"demo": ("rec-demo", "member"), "other": ("rec-other", "member"), "reader": ("rec-demo", "reader")}
"""Who speaks, by the name in recordings: the project, and the only role there. `admin` is the cloud's own."""
_LIFE: Final = 100.0


def user_name(who: str) -> str:
    """The name of a user whom the recorder makes."""
    return f"rec-{who}"


@dataclass(slots=True)
class RealCloud:
    """An administrator's way into a cloud. Make it with `enter`, end it with `leave`."""

    keystone: str
    admin: dict[str, str] = field(repr=False)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=90, trust_env=False))
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    roots: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict, repr=False)
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)

    def enter(self) -> None:
        """Make projects and users, and learn what every recording has a name for."""
        self._learn_catalog()
        self._wipe()
        for project in PROJECTS:
            made = self.call("admin", "POST", "identity", "/projects", {"project": {"name": project}})
            self.known[made["project"]["id"]] = f"<project:{project.removeprefix('rec-')}>"
        roles = {one["name"]: one["id"] for one in self.call("admin", "GET", "identity", "/roles")["roles"]}
        projects = {label: value for value, label in self.known.items() if label.startswith("<project:")}
        for who, (project, role) in USERS.items():
            body = {"user": {"name": user_name(who), "password": self.password}}
            user = self.call("admin", "POST", "identity", "/users", body)["user"]["id"]
            self.known[user] = f"<user:{who}>"
            where = projects[f"<project:{project.removeprefix('rec-')}>"]
            self.call("admin", "PUT", "identity", f"/projects/{where}/users/{user}/roles/{roles[role]}")
        self.known |= {role: f"<role:{name}>" for name, role in roles.items()}
        self.known[self.password] = "<password>"
        self._learn_things()

    def leave(self) -> None:
        """Take away what `enter` made."""
        self._wipe()
        self.http.close()

    def token(self, who: str) -> str:
        """A token of one of the users, new enough for the next call."""
        token, born = self._tokens.get(who, ("", 0.0))
        if time.monotonic() - born > _LIFE:
            token = self._login(who).headers["X-Subject-Token"]
            self._tokens[who] = (token, time.monotonic())
        return token

    def url(self, service: str, path: str) -> str:
        """Where a path of a service is. Paths begin behind the host (and prefix), version included."""
        return self.roots[service] + path

    def call(self, who: str, method: str, service: str, path: str, body: object = None) -> Any:
        """A call that is not recorded and must succeed."""
        base = "/v3" if service == "identity" else ""
        headers = {"X-Auth-Token": self.token(who)}
        answer = self.http.request(method, self.url(service, base + path), json=body, headers=headers)
        if answer.status_code >= 400 and not (method == "DELETE" and answer.status_code == 404):
            raise RuntimeError(f"{method} {service} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def _login(self, who: str) -> httpx.Response:
        scope: dict[str, Any] = {}
        if who.startswith("admin"):
            named, domain = self.admin, self.admin.get("user_domain_name", "Default")
            scope = {"project": {"id": who.removeprefix("admin in ")}} if who != "admin" else {}
        else:
            named = {"username": user_name(who), "password": self.password, "project_name": USERS[who][0]}
            domain = "Default"
        user = {"name": named["username"], "domain": {"name": domain}, "password": named["password"]}
        scope = scope or {"project": {"name": named["project_name"], "domain": {"name": domain}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        return self.http.post(f"{self.keystone}/auth/tokens", json=body).raise_for_status()

    def _learn_catalog(self) -> None:
        token = self._login("admin").json()["token"]
        self.known[token["user"]["id"]], self.known[token["project"]["id"]] = "<user:admin>", "<project:admin>"
        for entry in token["catalog"]:
            if entry["type"] == "block-storage":
                continue  # Cinder's other name
            for endpoint in entry["endpoints"]:
                root = re.split(r"/v[123]", endpoint["url"])[0].rstrip("/")
                self.known[root] = f"<url:{entry['type']}>"
                self.known[urlsplit(root).netloc] = f"<netloc:{entry['type']}>"
                if endpoint["interface"] == "public":
                    self.roots[entry["type"]] = root

    def _learn_things(self) -> None:
        for kind, service, path, key in (
            ("flavor", "compute", "/v2.1/flavors", "flavors"),
            ("image", "image", "/v2/images", "images"),
            ("network", "network", "/v2.0/networks?shared=true", "networks"),
            ("subnet", "network", "/v2.0/subnets?shared=true", "subnets"),
        ):
            self.known |= {
                one["id"]: f"<{kind}:{one['name']}>" for one in self.call("admin", "GET", service, path)[key]
            }

    def _wipe(self) -> None:
        for project in self.call("admin", "GET", "identity", "/projects")["projects"]:
            if project["name"] in PROJECTS:
                clear(self, project["id"])
                self.call("admin", "DELETE", "identity", f"/projects/{project['id']}")
        users = self.call("admin", "GET", "identity", "/users")["users"]
        for user in users:
            if user["name"] in {user_name(who) for who in USERS}:
                self.call("admin", "DELETE", "identity", f"/users/{user['id']}")


def from_clouds_yaml(name: str) -> RealCloud:
    """The cloud of this name in clouds.yaml, which must be an administrator's."""
    place = Path(os.environ.get("OS_CLIENT_CONFIG_FILE", "clouds.yaml"))
    auth = yaml.safe_load(place.read_text())["clouds"][name]["auth"]
    url = str(auth["auth_url"]).rstrip("/")
    return RealCloud(url if url.endswith("/v3") else f"{url}/v3", auth)
