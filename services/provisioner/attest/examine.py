"""The questions by which a server is attested, each of which the cloud answers, not the node.

1. It is a server of the bay's project, marked as this bay's, and lies in a member of one of the bay's stacks.
2. The first time: it knows the secret of that member, which only its own user-data holds, and it is young.
3. It has the role that it asks for, by its mark and by its place.
4. Every name and address that it asks for is its own, or the driver's for that role; a master's also the bay's API.

Who passed 2 is that server, so it may be told what else is wrong; a stranger is told nothing. A renewal is proven by
the node's present certificate before it comes here, so 2 is left out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from services.provisioner.attest.members import Member
from services.provisioner.factory import Deps
from services.provisioner.facts import known_facts
from services.provisioner.leftovers import MARK
from shared.db.repositories.attestations import Attestation
from shared.domain.bay import Bay
from shared.domain.errors import JeroboamError
from shared.domain.names import bay_tag
from shared.domain.shards import FIRST, shard_of, stack_of
from shared.drivers.contract import Role
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server
from shared.pki_client import RequestFacts, describe_request

ROLE_MARK: Final = "jeroboam_role"
"""Metadata key on servers; its value is the role."""

SECRET: Final = "node_secret"  # noqa: S105 - the resource's name
_API_OUTPUTS: Final = ("api_address", "api_private_address", "api_public_address")


class Mismatch(JeroboamError):
    """This is not the node that it says it is, or it may not have what it asks for."""

    def __init__(self, reason: str, *, proven: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.proven = proven


class NotYet(JeroboamError):
    """What the answer depends on is not there yet; the node asks again."""


@dataclass(frozen=True)
class Asked:
    """What is to be examined; `secret` is as the node showed it, None for a renewal."""

    attestation: Attestation
    bay: Bay
    secret: str | None

    @property
    def role(self) -> Role:
        """The role that it asks for; the table's own check keeps it to these two."""
        return "master" if self.attestation.role == "master" else "worker"


async def examine(deps: Deps, asked: Asked) -> str:
    """The node's name, if all is as it says.

    Raises:
        Mismatch: it is not.
        NotYet: the bay has no stack yet, or the stack does not tell its addresses yet.
        CloudError: the cloud does not answer.
    """
    cloud, bay = deps.project(asked.bay), asked.bay
    server = await cloud.nova.show(asked.attestation.server_id)  # 1
    if server is None:
        raise Mismatch("There is no such server in the bay's project.", proven=False)
    stack_ids = stacks_of(bay)
    if not stack_ids:
        raise NotYet("the bay has no stack yet")
    stranger = Mismatch("The server is not in the bay's stack.", proven=False)
    if server.metadata.get(MARK) != str(bay.id):
        raise stranger  # before Heat is asked for long lists
    if shard := await _shard_of(cloud, bay, server.name):
        stack_ids = [shard]
    member = await deps.members.find(cloud.heat, stack_ids, server.id)
    if member is None:
        raise stranger
    if asked.secret is not None:  # 2
        await _knows_secret(cloud, member, asked.secret)
        _is_young(server, asked.attestation.created_at, deps.settings.first_certificate_minutes)
    if not server.metadata.get(ROLE_MARK) == member.role == asked.role:  # 3
        raise Mismatch(f"The server is a {member.role}, and asks for what a {asked.role} gets.", proven=True)
    wanted = describe_request(asked.attestation.csr)
    await _names_are_its_own(deps, cloud, asked, server, wanted)  # 4
    return server.name


def stacks_of(bay: Bay) -> list[str]:
    """The bay's first stack, which has its masters."""
    return [bay.stack_id] if bay.stack_id else []


async def _shard_of(cloud: ProjectCloud, bay: Bay, server: str) -> str | None:
    """The further stack of the bay that a server's name says it is in; those have workers alone."""
    place = stack_of(server, bay.stack_name)
    if place == FIRST:
        return None
    listed = await cloud.heat.list_by_tag(bay_tag(bay.id))
    return next((one.id for one in listed if shard_of(one.name, bay.stack_name) == place), None)


async def _knows_secret(cloud: ProjectCloud, member: Member, shown: str) -> None:
    attributes = await cloud.heat.attributes(member.stack_name, member.stack_id, SECRET)
    value = None if attributes is None else attributes.get("value")
    if not isinstance(value, str) or not value:
        raise Mismatch("The server's member has no secret.", proven=False)
    if not hmac.compare_digest(value.encode(), shown.encode()):
        raise Mismatch("The secret is not this server's.", proven=False)


def _is_young(server: Server, asked_at: datetime, minutes: float) -> None:
    """By Nova's word on its birth and Postgres's on the question."""
    try:
        born = datetime.fromisoformat(server.created_at.replace("Z", "+00:00"))
    except ValueError:
        raise Mismatch("Nova does not tell when the server was made.", proven=True) from None
    born = born if born.tzinfo else born.replace(tzinfo=UTC)
    if max(asked_at - born, timedelta(0)) >= timedelta(minutes=minutes):
        raise Mismatch(f"The server was made more than {minutes:g} minutes ago.", proven=True)


async def _names_are_its_own(
    deps: Deps, cloud: ProjectCloud, asked: Asked, server: Server, wanted: RequestFacts
) -> None:
    """Each further source is asked only if names are left over."""
    names, addresses = deps.driver(asked.bay).certificate_names(known_facts(asked.bay, deps.settings), asked.role)
    wanted = _less(wanted, {server.name.lower(), *names}, {one.address for one in server.addresses} | addresses)
    if wanted.addresses:
        wanted = _less(wanted, frozenset(), await _floating(cloud, server))
    unknown_yet = False
    if (wanted.addresses or wanted.dns_names) and asked.role == "master":
        hosts, unknown_yet = await _api_hosts(cloud, stacks_of(asked.bay))
        wanted = _less(wanted, hosts, hosts)
    left = sorted(wanted.dns_names | wanted.addresses)
    if left and unknown_yet:
        raise NotYet("the stack does not tell the addresses of the bay's API yet")
    if left:
        raise Mismatch(f"The request asks for what is not this node's: {', '.join(left)[:500]}.", proven=True)


def _less(wanted: RequestFacts, names: set[str] | frozenset[str], addresses: set[str] | frozenset[str]) -> RequestFacts:
    return RequestFacts(wanted.dns_names - names, wanted.addresses - addresses)


async def _floating(cloud: ProjectCloud, server: Server) -> set[str]:
    """Floating addresses of its ports, which Nova shows some time later."""
    ports = await cloud.neutron.items("ports", device_id=server.id)
    found = [await cloud.neutron.items("floatingips", port_id=port.id) for port in ports]
    return {one.address for part in found for one in part if one.address}


async def _api_hosts(cloud: ProjectCloud, stack_ids: list[str]) -> tuple[set[str], bool]:
    """Host names and addresses of the bay's API, and whether an output that tells one has no value yet."""
    outputs: dict[str, object] = {}
    for stack_id in stack_ids:
        outputs |= await cloud.heat.outputs(stack_id) or {}
    told = {name: outputs[name] for name in _API_OUTPUTS if name in outputs}
    return {host for value in told.values() if (host := _host(value))}, not all(told.values())


def _host(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return urlsplit(value if "//" in value else f"//{value}").hostname
