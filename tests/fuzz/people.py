"""Who asks, and at which microversion: mostly a member as today's clients do, sometimes somebody else or nonsense."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx

VERSION: Final = "OpenStack-API-Version"
MEMBERS: Final = ("demo", "alt")
PROJECT_OF: Final = {"demo": "demo", "alt": "alt", "admin": "admin", "reader": "demo"}
NOBODY: Final = "nobody"
STRANGER: Final = "stranger"
"""`nobody` sends no token, `stranger` one that Keystone does not know."""

_WHO: Final = ("demo",) * 6 + ("alt", "admin", "admin", "reader", NOBODY, STRANGER)
_GOOD: Final = ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "1.13", "1.14")
_WORDS: Final = ("container-infra", "container-infrastructure-management", "container-infrastructure")
_ODD: Final = (
    "container-infra 1.99",
    "container-infra 2.0",
    "compute 1.1",
    "container-infra",
    "latest",
    "container-infra x",
)
_CLOSED: Final = ("/quotas", "/mservices", "/dead_letters", "/v1/operations")
_YOUNG: Final = ("/nodegroups", "/actions", "/credentials")
_SIGNS: Final = string.ascii_letters + string.digits + string.punctuation + " "


def person(luck: Random, path: str) -> str:
    """Who asks; where only administrators are let in, half of the time one of them."""
    closed = any(word in path for word in _CLOSED)
    return "admin" if closed and luck.random() < 0.5 else luck.choice(_WHO)


def version(luck: Random, path: str) -> str | None:
    """The microversion header's value; None sends none. What is young is more often asked for by today's clients."""
    young = any(word in path for word in _YOUNG) and luck.random() < 0.5
    kind = "latest" if young else luck.choice(("latest",) * 6 + ("absent",) * 2 + ("good",) * 4 + ("odd", "noise"))
    word = luck.choice(_WORDS)
    said = {
        "latest": f"{word} latest",
        "good": f"{word} {luck.choice(_GOOD)}",
        "odd": luck.choice(_ODD),
        "noise": "".join(luck.choices(_SIGNS, k=luck.randrange(1, 40))).strip(),
    }
    return said.get(kind)


@dataclass
class Tokens:
    """Tokens of the simulated cloud's people, whose passwords are their names; fetched once."""

    keystone_url: str
    _known: dict[str, str] = field(default_factory=dict, repr=False)
    projects: dict[str, str] = field(default_factory=dict)
    """Project ids by the person's name."""

    def of(self, person: str) -> str | None:
        """The value of X-Auth-Token; None sends none."""
        if person == NOBODY:
            return None
        if person == STRANGER:
            return "gAAAAAnobodyKnowsThisOne"
        if person not in self._known:
            self._known[person] = self._log_in(person)
        return self._known[person]

    def _log_in(self, person: str) -> str:
        domain = {"id": "default"}
        user = {"name": person, "domain": domain, "password": person}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": PROJECT_OF[person], "domain": domain}}
        answer = httpx.post(f"{self.keystone_url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        answer.raise_for_status()
        self.projects[person] = str(answer.json()["token"]["project"]["id"])
        return str(answer.headers["X-Subject-Token"])
