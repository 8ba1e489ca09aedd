"""Neutron: networks for the gateway's checks, and everything of a bay by name or tag for the provisioner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.domain.errors import CloudError, Conflict
from shared.domain.headroom import Allowance
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, segment

SERVICE: Final = "network"

Kind = Literal["networks", "subnets", "routers", "ports", "floatingips", "security-groups"]


@dataclass(frozen=True, slots=True)
class Network:
    """A network."""

    id: str
    name: str
    external: bool
    shared: bool
    subnet_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet."""

    id: str
    name: str
    network_id: str
    cidr: str


@dataclass(frozen=True, slots=True)
class NetworkItem:
    """Anything of Neutron's, with what tells whose it is. Fields that a kind does not have are ""."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    device_id: str
    device_owner: str
    network_id: str
    port_id: str
    address: str
    """A floating IP's address."""
    project_id: str
    security_group_ids: tuple[str, ...]
    """Of a port."""


@dataclass(frozen=True, slots=True)
class NeutronClient:
    """Neutron in one project, or as one caller."""

    session: CloudSession

    async def find_external_network(self, ident: str) -> Network | None:
        """An external network by id, else by name; None: neither.

        Raises:
            Conflict: several have this name.
        """
        found = await self._find("networks", ident, "network", {"router:external": "true"})
        network = None if found is None else _network(found)
        return network if network is not None and network.external else None

    async def find_network(self, ident: str) -> Network | None:
        """A network by id, else by name; None: neither.

        Raises:
            Conflict: several have this name.
        """
        found = await self._find("networks", ident, "network")
        return None if found is None else _network(found)

    async def find_subnet(self, ident: str) -> Subnet | None:
        """A subnet by id, else by name; None: neither.

        Raises:
            Conflict: several have this name.
        """
        found = await self._find("subnets", ident, "subnet")
        return None if found is None else _subnet(found)

    async def subnets_of(self, network_id: str) -> list[Subnet]:
        """The subnets of a network."""
        listed = await self.session.pages(SERVICE, "/subnets", "subnets", params={"network_id": network_id})
        return [_subnet(one) for one in listed]

    async def items(
        self, kind: Kind, *, name: str | None = None, tag: str | None = None, **filters: str
    ) -> list[NetworkItem]:
        """What of a kind the token sees, by exact name, tag, or any filter of Neutron's (`device_id`, `network_id`).

        An administrator's token sees what is everybody's: `project_id` is the filter for one project's.
        """
        params = dict(filters)
        if name is not None:
            params["name"] = name
        if tag is not None:
            params["tags"] = tag
        listed = await self.session.pages(SERVICE, f"/{kind}", _key(kind), params=params)
        return [_item(one) for one in listed]

    async def delete(self, kind: Kind, item_id: str) -> bool:
        """Delete; False when it was gone. 409: something still uses it."""
        path = f"/{kind}/{segment(item_id)}"
        return await self.session.delete(SERVICE, path, resource=f"{_key(kind).removesuffix('s')} {item_id}")

    async def detach_subnet(self, router_id: str, subnet_id: str) -> None:
        """Take a subnet off a router, which must come before either can be deleted."""
        path = f"/routers/{segment(router_id)}/remove_router_interface"
        await self.session.call(SERVICE, "PUT", path, json={"subnet_id": subnet_id}, resource=f"router {router_id}")

    async def headroom(self, project_id: str) -> dict[str, Allowance]:
        """The project's quotas and their use, by the names of `shared.domain.headroom`.

        Empty, which is "not known", where Neutron lacks the extension `quota_details` or keeps it from the token.
        """
        path = f"/quotas/{segment(project_id)}/details.json"
        try:
            reply = await self.session.call(SERVICE, "GET", path, wants_json=True)
        except CloudError as error:
            if error.status not in {403, 404}:
                raise
            return {}
        quotas = reply.json().doc("quota")
        return {ours: _allowance(quotas.doc(theirs)) for theirs, ours in _QUOTAS.items() if theirs in quotas.data}

    async def _find(self, kind: Kind, ident: str, word: str, filters: dict[str, str] | None = None) -> Doc | None:
        for by in ("id", "name") if ident else ():
            listed = await self.session.pages(SERVICE, f"/{kind}", _key(kind), params={**(filters or {}), by: ident})
            found = [one for one in listed if one.maybe(by) == ident]
            if len(found) > 1:
                raise Conflict(f"Multiple {kind} exist with same name '{ident}'. Please use the {word} ID instead.")
            if found:
                return found[0]
        return None


_QUOTAS: Final = {
    "network": "networks",
    "subnet": "subnets",
    "router": "routers",
    "port": "ports",
    "floatingip": "floating_ips",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}
"""Neutron's names of quotas, and ours."""


def _allowance(doc: Doc) -> Allowance:
    most = doc.number("limit")
    return Allowance(None if most < 0 else most, doc.number("used", 0) + doc.number("reserved", 0))


def _key(kind: Kind) -> str:
    return kind.replace("-", "_")


def _network(doc: Doc) -> Network:
    return Network(
        id=doc.text("id"),
        name=doc.maybe("name") or "",
        external=doc.flag("router:external"),
        shared=doc.flag("shared"),
        subnet_ids=doc.texts("subnets"),
    )


def _subnet(doc: Doc) -> Subnet:
    return Subnet(doc.text("id"), doc.maybe("name") or "", doc.text("network_id"), doc.maybe("cidr") or "")


def _item(doc: Doc) -> NetworkItem:
    return NetworkItem(
        id=doc.text("id"),
        name=doc.maybe("name") or "",
        description=doc.maybe("description") or "",
        tags=doc.texts("tags"),
        device_id=doc.maybe("device_id") or "",
        device_owner=doc.maybe("device_owner") or "",
        network_id=doc.maybe("network_id") or "",
        port_id=doc.maybe("port_id") or "",
        address=doc.maybe("floating_ip_address") or "",
        project_id=doc.maybe("project_id") or "",
        security_group_ids=doc.texts("security_groups"),
    )
