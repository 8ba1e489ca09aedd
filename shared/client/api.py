"""The public API, typed: bays, baymodels, certificates and operations, as microversion 1.2 has them (contract §1).

Every method raises `CloudError` with the server's own sentence when the API (or Keystone) refuses or does not answer;
its `status` is the HTTP status. Nothing is tried twice, except that an expired token is renewed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, Self, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from shared.client import events
from shared.client.events import BayEvent
from shared.client.login import Credentials, PasswordLogin
from shared.contracts.http.baymodels import BaymodelFull, BaymodelList
from shared.contracts.http.bays import (
    Accepted,
    BayBrief,
    BayFull,
    BayList,
    OperationList,
    OperationOut,
)  # fmt: skip
from shared.contracts.http.certificates import CertificateOut
from shared.contracts.http.dead_letters import DeadLetterBrief, DeadLetterFull, DeadLetterList
from shared.contracts.http.dry_run import DryRun
from shared.contracts.http.operations import CloudOperation, CloudOperationList
from shared.contracts.http.scaling import ScalingDecision, ScalingDecisionList, ScalingPolicyOut, StoredPolicy
from shared.openstack.auth import PersonAuth
from shared.openstack.circuit import Gates
from shared.openstack.errors import Rubbish
from shared.openstack.session import CloudSession, segment
from shared.openstack.transport import Transport
from shared.runtime.egress import EgressPolicy

SERVICE = "container-infra"
VERSION = "1.2"
_HEADERS: Final = {"OpenStack-API-Version": f"{SERVICE} {VERSION}"}
_ACTIONS: Final = {"OpenStack-API-Version": f"{SERVICE} 1.10"}
"""Resizing a nodegroup, zero nodes and upgrades are of later versions (contract §1.10.7, §1.10.8)."""

_Body = TypeVar("_Body", bound=BaseModel)


class JeroboamClient:
    """One person's view of the API; `session` speaks to the other services of the same cloud as the same person.

    `async with JeroboamClient.connect(…) as client:` closes the connections at the end.
    """

    def __init__(self, session: CloudSession) -> None:
        self.session = session

    @classmethod
    def connect(
        cls,
        keystone_url: str,
        credentials: Credentials,
        *,
        api_url: str | None = None,
        egress: EgressPolicy | None = None,
        call_limit: float = 30.0,
    ) -> Self:
        """A client that logs in at its first call.

        Args:
            keystone_url: ends in /v3.
            api_url: the API's endpoint (ends in /v1); None takes it from the catalog.
            egress: which addresses may be dialled; None: all that are not always denied.
            call_limit: seconds that a call may take.
        """
        transport = Transport(egress or EgressPolicy(), call_limit=call_limit)
        login = PasswordLogin(transport, keystone_url, credentials)
        base_urls = {} if api_url is None else {SERVICE: api_url.rstrip("/")}
        return cls(CloudSession(transport, login, Gates(), base_urls))

    @classmethod
    def of_person(
        cls, person: PersonAuth, egress: EgressPolicy, *, api_url: str | None = None, call_limit: float = 30.0
    ) -> Self:
        """A client of who runs a command; `api_url` as in `connect`, else as configured, or the catalog's."""
        transport = Transport(egress, call_limit=call_limit, cafile=person.cafile)
        found = api_url or person.endpoint(SERVICE)
        base_urls = {} if found is None else {SERVICE: found.rstrip("/")}
        return cls(CloudSession(transport, person, Gates(), base_urls))

    async def close(self) -> None:
        """Close the connections."""
        await self.session.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def user_id(self) -> str:
        """Keystone's id of the person, which `OperationOut.requested_by` has for what it asked for."""
        return (await self.session.tokens.token()).user_id

    async def create_baymodel(self, fields: Mapping[str, object]) -> BaymodelFull:
        """Make a baymodel; `fields` as in contract §1.12.2."""
        return await self._ask(BaymodelFull, "POST", "/baymodels", json=fields)

    async def baymodels(self) -> list[BaymodelFull]:
        """One's own and the public ones."""
        page = await self._ask(BaymodelList, "GET", "/baymodels")
        found = page.baymodels
        while page.next is not None and page.baymodels:
            page = await self._ask(BaymodelList, "GET", f"/baymodels{_query(marker=found[-1].uuid)}")
            found += page.baymodels
        return found

    async def baymodel(self, ident: str) -> BaymodelFull:
        """One baymodel by uuid or name."""
        return await self._ask(BaymodelFull, "GET", f"/baymodels/{segment(ident)}")

    async def delete_baymodel(self, ident: str) -> None:
        """Delete a baymodel that no bay uses."""
        await self._call("DELETE", f"/baymodels/{segment(ident)}")

    async def create_bay(self, fields: Mapping[str, object]) -> str:
        """Ask for a bay; returns its uuid at once, while it is being made."""
        return (await self._ask(Accepted, "POST", "/bays", json=fields)).uuid

    async def plan_bay(self, fields: Mapping[str, object]) -> DryRun:
        """What a bay would be; nothing is made."""
        return await self._ask(DryRun, "POST", "/bays?dry_run=true", json=fields)

    async def bays(self) -> list[BayBrief]:
        """The project's bays."""
        page = await self._ask(BayList, "GET", "/bays")
        found = page.bays
        while page.next is not None and page.bays:
            page = await self._ask(BayList, "GET", f"/bays{_query(marker=found[-1].uuid)}")
            found += page.bays
        return found

    async def bay(self, ident: str) -> BayFull:
        """One bay by uuid or name."""
        return await self._ask(BayFull, "GET", f"/bays/{segment(ident)}")

    async def update_bay(self, ident: str, patch: Sequence[Mapping[str, object]]) -> str:
        """Change a bay by a list of `{op, path, value}` (contract §1.10.6); returns its uuid at once."""
        return (await self._ask(Accepted, "PATCH", f"/bays/{segment(ident)}", json=patch)).uuid

    async def resize_bay(self, ident: str, node_count: int) -> str:
        """Ask for another number of nodes; returns the bay's uuid at once."""
        return await self.update_bay(ident, [{"op": "replace", "path": "/node_count", "value": node_count}])

    async def resize_nodegroup(
        self, ident: str, node_count: int, *, nodegroup: str | None = None, leaving: Sequence[str] = ()
    ) -> str:
        """Ask for another number of nodes of one nodegroup (None: the default one); returns the bay's uuid at once.

        Args:
            leaving: Nova ids of nodes that are to leave; the service chooses the others.
        """
        asked = {"node_count": node_count, "nodes_to_remove": list(leaving)}
        named = {} if nodegroup is None else {"nodegroup": nodegroup}
        return await self._act(ident, "resize", {**asked, **named})

    async def upgrade_bay(self, ident: str, baymodel: str, *, at_a_time: int = 1, nodegroup: str | None = None) -> str:
        """Ask for a bay that is like another baymodel, `at_a_time` nodes after others; returns its uuid at once."""
        named = {} if nodegroup is None else {"nodegroup": nodegroup}
        return await self._act(ident, "upgrade", {"cluster_template": baymodel, "max_batch_size": at_a_time, **named})

    async def rotate_authorities(self, ident: str) -> str:
        """Ask for other certificate authorities of a bay; returns its uuid at once."""
        return (await self._ask(Accepted, "PATCH", f"/certificates/{segment(ident)}")).uuid

    async def delete_bay(self, ident: str, *, force: bool = False) -> None:
        """Ask for a bay's end; it is gone when `bay` raises a CloudError with status 404.

        `force`, for administrators: what cannot be removed is left behind.
        """
        await self._call("DELETE", f"/bays/{segment(ident)}{'?force=true' if force else ''}")

    async def operations(self, ident: str) -> list[OperationOut]:
        """A bay's operations with their steps, newest first."""
        return (await self._ask(OperationList, "GET", f"/bays/{segment(ident)}/operations")).operations

    async def scaling_policy(self, ident: str) -> ScalingPolicyOut:
        """How a bay is scaled by itself, and where each value comes from."""
        return await self._ask(ScalingPolicyOut, "GET", f"/bays/{segment(ident)}/scaling_policy")

    async def put_scaling_policy(self, ident: str, policy: StoredPolicy) -> ScalingPolicyOut:
        """Put a policy in the place of the one before; what it leaves out is as the labels say, else as by default."""
        fields = policy.model_dump(exclude_none=True)
        return await self._ask(ScalingPolicyOut, "PUT", f"/bays/{segment(ident)}/scaling_policy", json=fields)

    async def drop_scaling_policy(self, ident: str) -> None:
        """Let the bay's labels alone say how it is scaled."""
        await self._call("DELETE", f"/bays/{segment(ident)}/scaling_policy")

    async def scaling_decisions(self, ident: str) -> list[ScalingDecision]:
        """What autoscaling decided and why, the last hundred, newest first."""
        path = f"/bays/{segment(ident)}/scaling_decisions"
        return (await self._ask(ScalingDecisionList, "GET", path)).scaling_decisions

    def events(self, ident: str, *, after: int | None = None) -> AsyncGenerator[BayEvent]:
        """What happens to a bay, as it happens, until the server ends the stream (after an hour, or when it stops).

        The present state comes first, or what has happened since the event whose `after` is given. The end of the bay
        is a `GoneEvent`; who comes back after it, or too late for it, gets a CloudError with status 404. Who stops
        before the end closes it: `async with contextlib.aclosing(client.events(bay)) as told:`.
        """
        return events.read(self.session, SERVICE, f"/bays/{segment(ident)}/events", _HEADERS, after)

    async def authority(self, bay: str, kind: str | None = None) -> CertificateOut:
        """The certificate of the bay's own authority, or of its `kind` ("etcd", "front_proxy").

        During a rotation its `pem` is two certificates, one after the other, both trusted.
        """
        return await self._ask(CertificateOut, "GET", f"/certificates/{segment(bay)}{_query(ca_cert_type=kind)}")

    async def sign(
        self,
        bay: str,
        csr_pem: str,
        *,
        kind: str | None = None,
        profile: str | None = None,
        hours: int | None = None,
    ) -> CertificateOut:
        """Have a CSR signed by the bay's authority, or by that of a `kind`.

        Args:
            profile: what the certificate is for; None takes the subject of the CSR, as Magnum does.
            hours: how long it is to be good; None: as long as the operator lets it.
        """
        asked = {"bay_uuid": bay, "csr": csr_pem, **({} if kind is None else {"ca_cert_type": kind})}
        query = _query(profile=profile, hours=hours)
        return await self._ask(CertificateOut, "POST", f"/certificates{query}", json=asked)

    async def dead_letters(
        self, *, service: str | None = None, name: str | None = None, resent: bool | None = None, limit: int = 100
    ) -> list[DeadLetterBrief]:
        """Messages that could not be handled, newest first, at most `limit`; for administrators.

        `resent`: only those that were sent again, or only those that were not.
        """
        found: list[DeadLetterBrief] = []
        more, asked = True, {"service": service, "name": name, "resent": resent}
        while more and len(found) < limit:
            query = _query(**asked, limit=limit - len(found), marker=found[-1].id if found else None)
            page = await self._ask(DeadLetterList, "GET", f"/dead_letters{query}")
            found += page.dead_letters
            more = page.next is not None
        return found

    async def dead_letter(self, letter: str) -> DeadLetterFull:
        """One of them, whole."""
        return await self._ask(DeadLetterFull, "GET", f"/dead_letters/{segment(letter)}")

    async def resend(self, letter: str) -> DeadLetterFull:
        """Have its message published again; refused with 409 where that cannot help."""
        return await self._ask(DeadLetterFull, "POST", f"/dead_letters/{segment(letter)}/actions/resend")

    async def drop(self, letter: str) -> None:
        """Forget it."""
        await self._call("DELETE", f"/dead_letters/{segment(letter)}")

    async def stuck_operations(self) -> list[CloudOperation]:
        """Operations of all projects that do not go on, newest first (the first page, at most 1000); for
        administrators."""
        return (await self._ask(CloudOperationList, "GET", "/operations?stuck=true")).operations

    async def _act(self, ident: str, action: str, asked: Mapping[str, object]) -> str:
        path = f"/clusters/{segment(ident)}/actions/{action}"
        return (await self._ask(Accepted, "POST", path, json=asked, headers=_ACTIONS)).uuid

    async def _ask(
        self,
        kind: type[_Body],
        method: str,
        path: str,
        json: object | None = None,
        headers: Mapping[str, str] = _HEADERS,
    ) -> _Body:
        body = await self._call(method, path, json, headers)
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Rubbish(SERVICE, f"no {kind.__name__}: {where} {first['msg']}", resource=path) from None

    async def _call(
        self, method: str, path: str, json: object | None = None, headers: Mapping[str, str] = _HEADERS
    ) -> bytes:
        return (await self.session.call(SERVICE, method, path, json=json, headers=headers)).body


def _query(**asked: object) -> str:
    """What of this is not None, as a query string."""
    pairs = {name: value for name, value in asked.items() if value is not None}
    return f"?{urlencode(pairs)}" if pairs else ""
