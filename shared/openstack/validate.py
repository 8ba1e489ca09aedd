"""Validation of callers' tokens for the gateway.

The rules (those that OpenStack's own services follow): Keystone's 404 is the caller's fault (401); everything else
that goes wrong, a 401 on *our* token included, is ours (503, never 401). A good answer is kept for 300 s at most and
never beyond the token's end, a bad one for 10 s; so a revoked token may live on for as long. Tokens are known by
their SHA-256 only and are never logged.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.errors import CloudError, Unauthorized, Unavailable
from shared.openstack.access_rules import AccessRule, allowed
from shared.openstack.answers import Doc
from shared.openstack.catalog import Endpoints
from shared.openstack.errors import Rubbish
from shared.openstack.flight import SingleFlight
from shared.openstack.session import CloudSession

_FAILED = "The request you have made requires authentication."
_LONGEST_TOKEN = 16_384


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as Keystone tells it. `expires_at` is in seconds since the epoch."""

    user_id: str
    user_name: str
    user_domain_id: str
    user_domain_name: str
    project_id: str
    project_name: str
    project_domain_id: str
    project_domain_name: str
    roles: frozenset[str]
    expires_at: float
    endpoints: Endpoints = field(repr=False)
    app_cred_id: str | None = None
    access_rules: tuple[AccessRule, ...] | None = None
    trust_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the role `admin` came with the token."""
        return "admin" in self.roles

    @property
    def domain_id(self) -> str:
        """The domain of the user."""
        return self.user_domain_id

    @property
    def is_delegated(self) -> bool:
        """Whether the token comes from a trust or an application credential, which may not make credentials."""
        return self.app_cred_id is not None or self.trust_id is not None


@dataclass(frozen=True, slots=True)
class _Verdict:
    caller: Caller | None
    until: float


class TokenValidator:
    """Validates with the service user's own token.

    Args:
        session: a session of our service user in its own project.
        ttl: seconds that a good answer is kept at most; `failure_ttl`: the same for a bad one.
        service_type: our own type in the catalog and in access rules.
        clock: the wall clock, since it is compared with `expires_at`.
    """

    def __init__(
        self,
        session: CloudSession,
        *,
        keystone_url: str,
        region: str,
        interface: str = "public",
        ttl: float = 300.0,
        failure_ttl: float = 10.0,
        size: int = 10_000,
        service_type: str = "container-infra",
        service_token_roles: frozenset[str] = frozenset({"service"}),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.challenge = f'Keystone uri="{keystone_url}"'
        """The `WWW-Authenticate` header of a 401."""
        self._session = session
        self._region = region
        self._interface = interface
        self._ttl = ttl
        self._failure_ttl = min(failure_ttl, 10.0)
        self._size = size
        self._service_type = service_type
        self._service_roles = service_token_roles
        self._clock = clock
        self._verdicts: OrderedDict[tuple[bytes, bool], _Verdict] = OrderedDict()
        self._flights: SingleFlight[tuple[bytes, bool], _Verdict] = SingleFlight()

    async def validate(self, token: str | None, *, service_token: str | None = None, method: str, path: str) -> Caller:
        """Who this token belongs to, for a request with this method and path.

        With a valid `service_token` (the header X-Service-Token, of a user with the role `service`) the token may have
        expired, and access rules do not apply: the request belongs to a chain that began in time and was judged there.

        Raises:
            Unauthorized: the token, or the service token, is not good for this.
            Unavailable: Keystone cannot tell now.
        """
        for_service = False
        if service_token:
            if not self._service_roles & (await self._known(service_token, allow_expired=False)).roles:
                raise Unauthorized("The service token has no service role.")
            for_service = True
        caller = await self._known(token or "", allow_expired=for_service)
        if caller.access_rules is not None and not for_service:
            self._check_rules(caller, caller.access_rules, method, path)
        return caller

    async def close(self) -> None:
        """Stop what is under way."""
        await self._flights.close()

    def _check_rules(self, caller: Caller, rules: tuple[AccessRule, ...], method: str, path: str) -> None:
        if not caller.endpoints.has(self._service_type):
            raise Unauthorized(f"The catalog has no {self._service_type}, so no access rule can allow this request.")
        if not allowed(rules, self._service_type, method, path):
            raise Unauthorized(f"The application credential's access rules do not allow {method} {path}.")

    async def _known(self, token: str, *, allow_expired: bool) -> Caller:
        token = token.strip()
        if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
            raise Unauthorized(_FAILED)
        key = (hashlib.sha256(token.encode()).digest(), allow_expired)
        verdict = self._verdicts.get(key)
        if verdict is None or verdict.until <= self._clock():
            verdict = await self._flights.do(key, lambda: self._judge(key, token, allow_expired))
        else:
            self._verdicts.move_to_end(key)
        if verdict.caller is None:
            raise Unauthorized(_FAILED)
        return verdict.caller

    async def _judge(self, key: tuple[bytes, bool], token: str, allow_expired: bool) -> _Verdict:
        caller = await self._ask(token, allow_expired)
        now = self._clock()
        if caller is not None and caller.expires_at <= now:
            # Only a service may use it still, and only for a moment without asking again.
            verdict = _Verdict(caller if allow_expired else None, now + self._failure_ttl)
        elif caller is not None:
            verdict = _Verdict(caller, min(now + self._ttl, caller.expires_at))
        else:
            verdict = _Verdict(None, now + self._failure_ttl)
        self._verdicts[key] = verdict
        self._verdicts.move_to_end(key)
        while len(self._verdicts) > self._size:
            self._verdicts.popitem(last=False)
        return verdict

    async def _ask(self, token: str, allow_expired: bool) -> Caller | None:
        headers = {"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1.0"}
        params = {"allow_expired": "1"} if allow_expired else None
        try:
            reply = await self._session.call(
                "identity", "GET", "/auth/tokens", headers=headers, params=params, wants_json=True
            )
            return self._caller(reply.json().doc("token"))
        except CloudError as error:
            if error.status == 404:
                return None
            wait = 5 if error.retry_after is None else max(1, round(error.retry_after))
            raise Unavailable("Keystone cannot validate tokens now.", retry_after=wait) from error

    def _caller(self, token: Doc) -> Caller | None:
        """The caller that Keystone describes; None for a token without a project, which is no use here."""
        if "project" not in token.data:
            return None
        user, project = token.doc("user"), token.doc("project")
        app_cred = token.maybe_doc("application_credential")
        catalog = token.docs("catalog") if "catalog" in token.data else []
        return Caller(
            user_id=user.text("id"),
            user_name=user.text("name"),
            user_domain_id=user.doc("domain").text("id"),
            user_domain_name=user.doc("domain").text("name"),
            project_id=project.text("id"),
            project_name=project.text("name"),
            project_domain_id=project.doc("domain").text("id"),
            project_domain_name=project.doc("domain").text("name"),
            roles=frozenset(role.text("name") for role in token.docs("roles")),
            expires_at=_moment(token.text("expires_at")),
            endpoints=Endpoints.from_catalog(
                (entry.data for entry in catalog), region=self._region, interface=self._interface
            ),
            app_cred_id=app_cred.maybe("id"),
            access_rules=AccessRule.read(app_cred),
            trust_id=token.maybe_doc("OS-TRUST:trust").maybe("id"),
        )


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Rubbish("identity", "'expires_at' is not a time") from None
    if moment.tzinfo is None:
        raise Rubbish("identity", "'expires_at' has no time zone")
    return moment.timestamp()
