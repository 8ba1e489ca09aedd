"""Tokens of our service user, scoped to the project where the work is, and those of a person who uses a command.
The only place of keystoneauth1 and of openstacksdk, of which only the reader of clouds.yaml is used.

keystoneauth1 blocks, so it runs in threads of its own (a hanging Keystone must not use up the process's shared ones),
and it is imported there at first use: the import costs a second.

A login that Keystone refuses can mean a wrong password or a missing role; Keystone says 401 to both. A second login
without a project tells them apart.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.domain.errors import CloudError, InvalidInput
from shared.openstack.catalog import Endpoints
from shared.openstack.circuit import Gates
from shared.openstack.errors import RoleMissing, Rubbish, no_answer, refused
from shared.openstack.flight import SingleFlight
from shared.openstack.tokens import ScopedToken
from shared.runtime.egress import EgressPolicy
from shared.runtime.telemetry import CLOUD_CALLS, CLOUD_SECONDS

if TYPE_CHECKING:
    from keystoneauth1.access import AccessInfo
    from keystoneauth1.exceptions import HttpError

_RENEW_BEFORE = 120.0
_PROJECTS_KEPT = 10_000
_REFUSALS = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Credential:
    """Who our service user is, and where Keystone is (`url` ends in /v3)."""

    url: str
    username: str
    password: SecretStr
    user_domain: str = "Default"
    service_project: str = "service"
    region: str = "RegionOne"
    interface: str = "public"
    role: str = "member"
    """The role that the operator grants on projects; only named in the error for a missing one."""
    cafile: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    scoped: ScopedToken
    renew_at: float


class ServiceAuth:
    """The service user's tokens, one per project, each fetched once however many ask. Times are in seconds.

    `clock` is the wall clock, since it is compared with Keystone's `expires_at`.
    """

    def __init__(
        self,
        credential: Credential,
        egress: EgressPolicy,
        gates: Gates,
        *,
        call_limit: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credential = credential
        self._egress = egress
        self._gates = gates
        self._limit = call_limit
        self._clock = clock
        self._held: OrderedDict[str | None, _Held] = OrderedDict()
        self._flights: SingleFlight[str | None, ScopedToken] = SingleFlight()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="keystone")

    async def token(self, project_id: str | None = None) -> ScopedToken:
        """A token scoped to `project_id` (None: our own service project) with two minutes or half its life left.

        Raises:
            RoleMissing: the service user has no role there; the message names the command that grants it.
            CloudError: Keystone refuses our login, failed or did not answer.
        """
        held = self._held.get(project_id)
        if held is not None and self._clock() < held.renew_at:
            self._held.move_to_end(project_id)
            return held.scoped
        return await self._flights.do(project_id, lambda: self._renew(project_id))

    def invalidate(self, project_id: str | None, refused: str | None = None) -> None:
        """Forget the token of a project; with `refused`, only if it is still that one.

        The race: a hundred calls are refused with one old token; the first fetches a new one, and the other ninety-nine
        must not throw that away.
        """
        held = self._held.get(project_id)
        if held is not None and refused in (None, held.scoped.token):
            del self._held[project_id]

    async def close(self) -> None:
        """Stop; a thread that hangs in Keystone is left to its own timeout."""
        await self._flights.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _renew(self, project_id: str | None) -> ScopedToken:
        try:
            scoped = await self._login(project_id)
        except CloudError as error:
            if error.status in _REFUSALS:
                raise await self._told_apart(project_id, error) from None
            raise
        now = self._clock()
        # A token that lives less than four minutes is used for half its life instead of being renewed at every call.
        renew_at = scoped.expires_at - min(_RENEW_BEFORE, max(scoped.expires_at - now, 0.0) / 2)
        self._held[project_id] = _Held(scoped, renew_at)
        self._held.move_to_end(project_id)
        while len(self._held) > _PROJECTS_KEPT:
            self._held.popitem(last=False)
        return scoped

    async def _told_apart(self, project_id: str | None, error: CloudError) -> CloudError:
        """Which of the two a refused login is: the password, or the role in this project."""
        who = self._credential
        try:
            await self._login(None, unscoped=True)
        except CloudError as again:
            if again.status not in _REFUSALS:
                return again
            return CloudError(
                f"Keystone refuses the service user {who.username} of domain {who.user_domain}: "
                "its name or password (JEROBOAM_SERVICE_USERNAME, JEROBOAM_SERVICE_PASSWORD) is wrong.",
                service="identity",
                status=error.status,
                retryable=False,
                resource=f"user {who.username}",
            )
        return RoleMissing(
            project_id=project_id or who.service_project,
            user=who.username,
            user_domain=who.user_domain,
            role=who.role,
            status=error.status or 401,
        )

    async def _login(self, project_id: str | None, *, unscoped: bool = False) -> ScopedToken:
        circuit = self._gates.of("identity").circuit
        circuit.admit()
        started = time.perf_counter()
        status = "none"
        try:
            async with asyncio.timeout(self._limit):
                loop = asyncio.get_running_loop()
                scoped = await loop.run_in_executor(self._threads, self._login_blocking, project_id, unscoped)
        except TimeoutError:
            circuit.failed()
            raise no_answer("identity", f"no token within {self._limit:g} s") from None
        except CloudError as error:
            status = str(error.status or "none")
            if error.status is not None and error.status < 500:
                circuit.succeeded()
            elif error.retryable:  # a refusal by the egress policy says nothing about Keystone
                circuit.failed()
            raise
        finally:
            CLOUD_CALLS.labels("identity", "POST", status).inc()
            CLOUD_SECONDS.labels("identity").observe(time.perf_counter() - started)
        circuit.succeeded()
        return scoped

    def _login_blocking(self, project_id: str | None, unscoped: bool) -> ScopedToken:
        from keystoneauth1 import session  # noqa: PLC0415 - costs a second, only who logs in pays
        from keystoneauth1.identity import v3  # noqa: PLC0415

        who = self._credential
        where = urlsplit(who.url)
        self._egress.check(where.hostname or "", where.port or (443 if where.scheme == "https" else 80))
        plugin = v3.Password(
            auth_url=who.url,
            username=who.username,
            password=who.password.get_secret_value(),
            user_domain_name=who.user_domain,
            project_id=None if unscoped else project_id,
            project_name=who.service_project if project_id is None and not unscoped else None,
            project_domain_name=who.user_domain if project_id is None and not unscoped else None,
            unscoped=unscoped,
            reauthenticate=False,
        )
        door = session.Session(
            auth=plugin, verify=who.cafile or True, timeout=self._limit, redirect=False, app_name="jeroboam"
        )
        try:
            door.session.trust_env = False  # no proxy of the environment: the egress policy judged the real address
            with _told():
                return _scoped(plugin.get_auth_ref(door), who.region, who.interface, project_id)
        finally:
            door.session.close()


class AskPassword(Protocol):
    """Asks the person at the terminal; `prompt` says for what."""

    def __call__(self, prompt: str | None = None) -> str:
        """What was typed."""


class PersonAuth:
    """The tokens of who runs a command, who is found as by the `openstack` command: clouds.yaml and secure.yaml in
    their usual places, `OS_CLOUD`, or the other `OS_` variables. A source of tokens (`shared.openstack.tokens`).

    Reading the configuration blocks, for half a second the first time.

    Args:
        cloud: a name in clouds.yaml; None leaves it to the environment.
        ask_password: called when a password is missing; None: that is an error.

    Raises:
        InvalidInput: there is no such cloud, nothing says which, or what is said of it does not suffice.
    """

    def __init__(
        self,
        cloud: str | None,
        egress: EgressPolicy,
        *,
        call_limit: float = 30.0,
        ask_password: AskPassword | None = None,
    ) -> None:
        from keystoneauth1 import exceptions as keystone  # noqa: PLC0415
        from keystoneauth1.identity.base import BaseIdentityPlugin  # noqa: PLC0415
        from openstack import config, exceptions  # noqa: PLC0415

        try:
            with warnings.catch_warnings(action="ignore"):  # of what it will drop one day, which is nothing of ours
                found = config.OpenStackConfig(pw_func=ask_password).get_one(cloud=cloud)
                plugin = found.get_auth()
                verify, self._client_certificate = found.get_requests_verify_args()
        except (exceptions.ConfigException, keystone.ClientException, OSError) as error:
            raise InvalidInput(str(error), field="cloud") from None
        except TypeError:  # the plugin's constructor got everything under `auth`, and did not know all of it
            raise InvalidInput("What is said under auth (OS_…) does not fit the auth_type.", field="cloud") from None
        if verify is False:
            raise InvalidInput(
                "Connections that are not verified are not made; name the CA file in cacert (OS_CACERT)."
            )
        if not isinstance(plugin, BaseIdentityPlugin):
            raise InvalidInput(f"auth_type {found.config.get('auth_type')} leads to no token of Keystone's.")
        self._plugin = plugin
        self.name = found.name
        self.cafile = verify if isinstance(verify, str) else None
        interface = found.get_interface() or "public"
        self._region, self._interface = (
            found.get_region_name(),
            interface if isinstance(interface, str) else interface[0],
        )
        self._override = found.get_endpoint
        self._egress = egress
        self._limit = call_limit
        self._held: ScopedToken | None = None
        self._flight: SingleFlight[str, ScopedToken] = SingleFlight()

    def endpoint(self, service: str) -> str | None:
        """The address that the configuration fixes for a service; None leaves it to the catalog."""
        return self._override(service)

    async def token(self) -> ScopedToken:
        """A token that is good for another two minutes.

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
            self._plugin.invalidate()
        return True

    async def _login(self) -> ScopedToken:
        self._held = await asyncio.to_thread(self._login_blocking)
        return self._held

    def _login_blocking(self) -> ScopedToken:
        from keystoneauth1 import session  # noqa: PLC0415

        where = urlsplit(self._plugin.auth_url or "")
        self._egress.check(where.hostname or "", where.port or (443 if where.scheme == "https" else 80))
        door = session.Session(
            auth=self._plugin, verify=self.cafile or True, cert=self._client_certificate,
            timeout=self._limit, redirect=False, app_name="jeroboam",
        )  # fmt: skip
        try:
            door.session.trust_env = False  # as all our connections
            with _told():
                access = self._plugin.get_access(door)
                region = self._region or _first_region(access.service_catalog.catalog)
                return _scoped(access, region, self._interface)
        finally:
            door.session.close()


@contextmanager
def _told() -> Iterator[None]:
    """What keystoneauth1 raises as a CloudError, without what was sent."""
    from keystoneauth1 import exceptions  # noqa: PLC0415

    try:
        yield
    except exceptions.HttpError as error:
        raise _refused(error) from None
    except exceptions.ConnectionError as error:
        raise no_answer("identity", f"the login got no answer ({type(error).__name__})") from None
    except (exceptions.ClientException, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Rubbish("identity", f"no token that can be read ({type(error).__name__})") from None


def _scoped(access: AccessInfo, region: str, interface: str, project_id: str | None = None) -> ScopedToken:
    catalog = access.service_catalog.catalog if access.has_service_catalog() else []
    expires = access.expires
    if expires is None or not access.auth_token:
        raise ValueError("no token, or one without an end")
    return ScopedToken(
        token=access.auth_token,
        expires_at=expires.timestamp(),
        endpoints=Endpoints.from_catalog(catalog, region=region, interface=interface),
        project_id=project_id or access.project_id,
        user_id=access.user_id or "",
    )


def _first_region(catalog: Sequence[Mapping[str, Any]]) -> str:
    """Where nothing names a region, the first in the catalog, as other clients do."""
    regions = (str(one.get("region_id") or one.get("region")) for entry in catalog for one in entry["endpoints"])
    return next(regions, "")


def _refused(error: HttpError) -> CloudError:
    answer = error.response
    if answer is None:
        return refused("identity", error.http_status, {}, b"")
    return refused("identity", error.http_status, answer.headers, answer.content)


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """Our service user's token as a session's source, in one project (None: our own)."""

    auth: ServiceAuth
    project_id: str | None

    async def token(self) -> ScopedToken:
        """A token that is good now."""
        return await self.auth.token(self.project_id)

    def invalidate(self, refused: str) -> bool:
        """The cloud refused it; the next one will be new."""
        self.auth.invalidate(self.project_id, refused)
        return True


__all__ = ["Credential", "PersonAuth", "ScopedToken", "ServiceAuth", "ServiceToken"]
