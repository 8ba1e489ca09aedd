"""Nova: flavors, key pairs and zones for the gateway's checks, servers and their groups for the provisioner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.headroom import Allowance
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, addressable, segment

SERVICE: Final = "compute"
_GROUPS_VERSION: Final = "2.64"
"""From here on a server group has one policy, as text."""
_GROUPS_HEADERS: Final = MappingProxyType(
    {"OpenStack-API-Version": f"compute {_GROUPS_VERSION}", "X-OpenStack-Nova-API-Version": _GROUPS_VERSION}
)
_GROUPS_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Flavor:
    """A flavor; `disk_gb` 0 means that the root disk is a volume."""

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int


@dataclass(frozen=True, slots=True)
class Keypair:
    """A user's key pair, the public half."""

    name: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a server on a network; `kind` is "fixed" or "floating"."""

    network: str
    address: str
    kind: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server."""

    id: str
    name: str
    status: str
    fault: str
    """Why it is in ERROR, in Nova's words; "" otherwise."""
    addresses: tuple[Address, ...]
    metadata: Mapping[str, str]
    volume_ids: tuple[str, ...]
    created_at: str


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group. Nova tells neither its age nor, here, its members."""

    id: str
    name: str
    policy: str


@dataclass(frozen=True, slots=True)
class NovaClient:
    """Nova in one project, or as one caller."""

    session: CloudSession

    async def find_flavor(self, ident: str) -> Flavor | None:
        """By id, else by name; None: neither.

        Raises:
            Conflict: several flavors have this name.
        """
        if addressable(ident):
            found = await self.session.get(SERVICE, f"/flavors/{segment(ident)}", resource=f"flavor {ident}")
            if found is not None:
                return _flavor(found.doc("flavor"))
        listed = await self.session.pages(SERVICE, "/flavors/detail", "flavors")
        named = [flavor for flavor in map(_flavor, listed) if flavor.name == ident]
        if len(named) > 1:
            raise Conflict(f"Multiple flavors exist with same name '{ident}'. Please use the flavor ID instead.")
        return named[0] if named else None

    async def keypair(self, name: str) -> Keypair | None:
        """A key pair of the token's user; None: that user has none of this name."""
        if not addressable(name):
            return None
        found = await self.session.get(SERVICE, f"/os-keypairs/{segment(name)}", resource=f"keypair {name}")
        if found is None:
            return None
        pair = found.doc("keypair")
        return Keypair(pair.text("name"), pair.text("public_key"))

    async def servers(self, *, name_prefix: str = "", metadata: Mapping[str, str] | None = None) -> list[Server]:
        """The project's servers whose name begins so and whose metadata hold all of `metadata`."""
        # Nova takes a regular expression; what it then returns is judged again, exactly.
        params = {"name": "^" + re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", name_prefix)} if name_prefix else None
        wanted = (metadata or {}).items()
        listed = map(_server, await self.session.pages(SERVICE, "/servers/detail", "servers", params=params))
        return [one for one in listed if one.name.startswith(name_prefix) and wanted <= one.metadata.items()]

    async def show(self, server_id: str) -> Server | None:
        """One server; None: no such server."""
        found = await self.session.get(SERVICE, f"/servers/{segment(server_id)}", resource=f"server {server_id}")
        return None if found is None else _server(found.doc("server"))

    async def delete(self, server_id: str) -> bool:
        """Begin the deletion; False when it was gone."""
        return await self.session.delete(SERVICE, f"/servers/{segment(server_id)}", resource=f"server {server_id}")

    async def reboot(self, server_id: str) -> None:
        """Restart the server as if its power were cut; it is ACTIVE some time later.

        Raises:
            CloudError: 404 when there is none, 409 when it is in a state that takes no restart.
        """
        path, body = f"/servers/{segment(server_id)}/action", {"reboot": {"type": "HARD"}}
        await self.session.call(SERVICE, "POST", path, json=body, resource=f"server {server_id}")

    async def reboots(self, server_id: str) -> int:
        """How often the server was restarted since it was made, by whomever; 0 for one that is gone."""
        path = f"/servers/{segment(server_id)}/os-instance-actions"
        found = await self.session.get(SERVICE, path, resource=f"server {server_id}")
        actions = [] if found is None else found.docs("instanceActions")
        return sum(one.text("action") == "reboot" for one in actions)

    async def zones(self) -> frozenset[str]:
        """Names of the availability zones in which servers can be made now."""
        reply = await self.session.call(SERVICE, "GET", "/os-availability-zone", wants_json=True)
        listed = reply.json().docs("availabilityZoneInfo")
        return frozenset(zone.text("zoneName") for zone in listed if zone.doc("zoneState").flag("available"))

    async def server_groups(self) -> list[ServerGroup]:
        """The project's server groups; names are not unique, and Nova filters by nothing.

        Nova pages them by offset and gives at most as many as its operator allows, so only an empty page is the end.
        """
        path, found = "/os-server-groups", list[ServerGroup]()
        while True:
            params = {"limit": str(_GROUPS_PAGE), "offset": str(len(found))}
            reply = await self.session.call(
                SERVICE, "GET", path, params=params, headers=_GROUPS_HEADERS, wants_json=True
            )
            page = [_server_group(one) for one in reply.json().docs("server_groups")]
            if not page:
                return found
            found += page

    async def create_server_group(self, name: str, policy: str) -> ServerGroup:
        """Make a server group. 403: the quota of groups is used up."""
        body = {"server_group": {"name": name, "policy": policy}}
        reply = await self.session.call(
            SERVICE,
            "POST",
            "/os-server-groups",
            json=body,
            headers=_GROUPS_HEADERS,
            resource=f"server group {name}",
            wants_json=True,
        )
        return _server_group(reply.json().doc("server_group"))

    async def delete_server_group(self, group_id: str) -> bool:
        """Delete a server group, its members live on; False when it was gone."""
        path = f"/os-server-groups/{segment(group_id)}"
        return await self.session.delete(SERVICE, path, resource=f"server group {group_id}")

    async def limits(self) -> dict[str, Allowance]:
        """The project's quotas and their use, by the names of `shared.domain.headroom`.

        `server_group_members` is the limit of each group by itself, so its use is 0. A cloud may keep those of server
        groups to itself.
        """
        reply = await self.session.call(SERVICE, "GET", "/limits", wants_json=True)
        absolute = reply.json().doc("limits").doc("absolute")
        found = {
            "servers": _allowance(absolute, "maxTotalInstances", "totalInstancesUsed"),
            "cores": _allowance(absolute, "maxTotalCores", "totalCoresUsed"),
            "ram_mb": _allowance(absolute, "maxTotalRAMSize", "totalRAMUsed"),
        }
        if "maxServerGroups" in absolute.data:
            found["server_groups"] = _allowance(absolute, "maxServerGroups", "totalServerGroupsUsed")
        if "maxServerGroupMembers" in absolute.data:
            found["server_group_members"] = _allowance(absolute, "maxServerGroupMembers", "")
        return found


def _allowance(absolute: Doc, most: str, used: str) -> Allowance:
    limit = absolute.number(most)
    return Allowance(None if limit < 0 else limit, absolute.number(used, 0))


def _server_group(doc: Doc) -> ServerGroup:
    return ServerGroup(doc.text("id"), doc.text("name"), doc.maybe("policy") or "")


def _flavor(doc: Doc) -> Flavor:
    return Flavor(doc.text("id"), doc.text("name"), doc.number("vcpus"), doc.number("ram"), doc.number("disk"))


def _server(doc: Doc) -> Server:
    networks = doc.maybe_doc("addresses")
    volumes = "os-extended-volumes:volumes_attached"
    return Server(
        id=doc.text("id"),
        name=doc.text("name"),
        status=doc.text("status"),
        fault=doc.maybe_doc("fault").maybe("message") or "",
        addresses=tuple(
            Address(network, one.text("addr"), one.maybe("OS-EXT-IPS:type") or "fixed")
            for network in networks.data
            for one in networks.docs(network)
        ),
        metadata=doc.strings("metadata"),
        volume_ids=tuple(one.text("id") for one in doc.docs(volumes)) if volumes in doc.data else (),
        created_at=doc.maybe("created") or "",
    )
