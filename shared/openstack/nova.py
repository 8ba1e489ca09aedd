"""Nova: flavors and key pairs for the gateway's checks, servers for the provisioner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.headroom import Allowance
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, addressable, segment

SERVICE: Final = "compute"


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

    async def limits(self) -> dict[str, Allowance]:
        """The project's quotas and their use: servers, cores, ram_mb (names of `shared.domain.headroom`)."""
        reply = await self.session.call(SERVICE, "GET", "/limits", wants_json=True)
        absolute = reply.json().doc("limits").doc("absolute")
        return {
            "servers": _allowance(absolute, "maxTotalInstances", "totalInstancesUsed"),
            "cores": _allowance(absolute, "maxTotalCores", "totalCoresUsed"),
            "ram_mb": _allowance(absolute, "maxTotalRAMSize", "totalRAMUsed"),
        }


def _allowance(absolute: Doc, most: str, used: str) -> Allowance:
    limit = absolute.number(most)
    return Allowance(None if limit < 0 else limit, absolute.number(used, 0))


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
