"""The front door: one `Cloud` per process, a `ProjectCloud` per project or caller."""

from __future__ import annotations

from dataclasses import dataclass

from shared.openstack.auth import Credential, ServiceAuth, ServiceToken
from shared.openstack.barbican import BarbicanClient
from shared.openstack.catalog import Endpoints
from shared.openstack.cinder import CinderClient
from shared.openstack.circuit import Gates
from shared.openstack.glance import GlanceClient
from shared.openstack.heat import HeatClient, StackNames
from shared.openstack.keystone import KeystoneClient
from shared.openstack.neutron import NeutronClient
from shared.openstack.nova import NovaClient
from shared.openstack.octavia import OctaviaClient
from shared.openstack.session import CloudSession
from shared.openstack.stackwatch import StackWatch
from shared.openstack.tokens import CallerToken, ScopedToken, TokenSource
from shared.openstack.transport import Transport
from shared.openstack.validate import TokenValidator
from shared.runtime.egress import EgressPolicy
from shared.runtime.settings import CommonSettings


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """How to reach the cloud. Times are in seconds."""

    credential: Credential
    call_limit: float = 30.0
    probe_every: float = 5.0
    calls_at_once: int = 64
    """Per service."""
    listing_kept: float = 1.0
    token_ttl: float = 300.0
    cloud_wide: bool = False
    """Whether to try one listing of the stacks of all projects."""


@dataclass(frozen=True, slots=True)
class ProjectCloud:
    """The thin clients, all with one token: the caller's, or our service user's in one project."""

    session: CloudSession
    heat: HeatClient
    nova: NovaClient
    neutron: NeutronClient
    glance: GlanceClient
    cinder: CinderClient
    octavia: OctaviaClient
    barbican: BarbicanClient
    keystone: KeystoneClient


class Cloud:
    """Connections, tokens, circuits and caches of one process. Make it once, `close` it at the end."""

    def __init__(self, config: CloudConfig, egress: EgressPolicy) -> None:
        who = config.credential
        self._keystone_url = who.url.rstrip("/")
        self._names = StackNames()
        self._gates = Gates(at_once=config.calls_at_once, probe_every=config.probe_every)
        self._transport = Transport(egress, call_limit=config.call_limit, cafile=who.cafile)
        self.auth = ServiceAuth(who, egress, self._gates, call_limit=config.call_limit)
        self.validator = TokenValidator(
            self._session(ServiceToken(self.auth, None)),
            keystone_url=self._keystone_url,
            region=who.region,
            interface=who.interface,
            ttl=config.token_ttl,
        )
        self.stacks = StackWatch(
            lambda project_id: self.for_project(project_id).heat,
            everywhere=self.for_service().heat if config.cloud_wide else None,
            keep=config.listing_kept,
        )

    @classmethod
    def from_settings(cls, settings: CommonSettings, *, cloud_wide: bool = False) -> Cloud:
        """The cloud that a process's settings name."""
        credential = Credential(
            url=settings.keystone_url,
            username=settings.service_username,
            password=settings.service_password,
            user_domain=settings.service_user_domain,
            service_project=settings.service_project,
            region=settings.region,
        )
        config = CloudConfig(
            credential,
            call_limit=settings.timing.call_limit,
            probe_every=5.0 * settings.time_scale,
            cloud_wide=cloud_wide,
        )
        return cls(config, EgressPolicy(allow=settings.egress_allow, deny=settings.egress_deny))

    def for_project(self, project_id: str) -> ProjectCloud:
        """The cloud as our service user sees it in this project."""
        return self._clients(ServiceToken(self.auth, project_id))

    def for_service(self) -> ProjectCloud:
        """The cloud as our service user sees it in its own project: for what belongs to no project, such as users."""
        return self._clients(ServiceToken(self.auth, None))

    def for_caller(self, token: str, endpoints: Endpoints) -> ProjectCloud:
        """The cloud as the caller sees it: their own token, the endpoints of their own catalog (`Caller.endpoints`)."""
        return self._clients(CallerToken(ScopedToken(token, float("inf"), endpoints)))

    async def close(self) -> None:
        """Close everything."""
        await self.stacks.close()
        await self.validator.close()
        await self.auth.close()
        await self._transport.close()

    def _session(self, tokens: TokenSource) -> CloudSession:
        return CloudSession(self._transport, tokens, self._gates, {"identity": self._keystone_url})

    def _clients(self, tokens: TokenSource) -> ProjectCloud:
        session = self._session(tokens)
        return ProjectCloud(
            session=session,
            heat=HeatClient(session, self._names),
            nova=NovaClient(session),
            neutron=NeutronClient(session),
            glance=GlanceClient(session),
            cinder=CinderClient(session),
            octavia=OctaviaClient(session),
            barbican=BarbicanClient(session),
            keystone=KeystoneClient(session),
        )
