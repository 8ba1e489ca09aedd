"""Logging in to Keystone as a person: name and password, scoped to a project (Keystone API v3)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

from shared.openstack.answers import Doc
from shared.openstack.catalog import Endpoints
from shared.openstack.errors import Rubbish, refused
from shared.openstack.flight import SingleFlight
from shared.openstack.tokens import ScopedToken
from shared.openstack.transport import Transport

_RENEW_BEFORE = 60.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and where to; the domain is that of both user and project."""

    username: str
    password: SecretStr
    project: str
    domain: str = "Default"
    region: str = "RegionOne"


class PasswordLogin:
    """A source of tokens (`shared.openstack.tokens.TokenSource`): one login serves until a minute before its end."""

    def __init__(self, transport: Transport, keystone_url: str, credentials: Credentials) -> None:
        self._transport = transport
        self._url = keystone_url.rstrip("/")
        self._who = credentials
        self._held: ScopedToken | None = None
        self._flight: SingleFlight[str, ScopedToken] = SingleFlight()

    async def token(self) -> ScopedToken:
        """A token that is good now.

        Raises:
            CloudError: Keystone refuses, or does not answer.
        """
        if self._held is not None and self._held.expires_at - _RENEW_BEFORE > time.time():
            return self._held
        return await self._flight.do("", self._login)

    def invalidate(self, refused: str) -> bool:
        """Forget a token that a service refused; the next one is new."""
        if self._held is not None and self._held.token == refused:
            self._held = None
        return True

    async def _login(self) -> ScopedToken:
        who = self._who
        domain = {"name": who.domain}
        user = {"name": who.username, "password": who.password.get_secret_value(), "domain": domain}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": who.project, "domain": domain}},
            }
        }
        answer = await self._transport.send("identity", "POST", f"{self._url}/auth/tokens", headers={}, json=body)
        if answer.status != 201:
            raise refused(
                "identity", answer.status, answer.headers, answer.body,
                resource=f"user {who.username}", hide=who.password.get_secret_value(),
            )  # fmt: skip
        token = answer.headers.get("X-Subject-Token")
        if not token:
            raise Rubbish("identity", "a login without X-Subject-Token", status=answer.status)
        self._held = self._read(token, Doc.parse("identity", answer.body).doc("token"))
        return self._held

    def _read(self, token: str, told: Doc) -> ScopedToken:
        return ScopedToken(
            token=token,
            expires_at=datetime.fromisoformat(told.text("expires_at")).timestamp(),
            endpoints=Endpoints.from_catalog((one.data for one in told.docs("catalog")), region=self._who.region),
            project_id=told.doc("project").text("id"),
            user_id=told.doc("user").text("id"),
        )
