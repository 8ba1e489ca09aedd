"""Octavia: what a project may still have, and the load balancers that a bay's own services made.

Heat makes those of our templates; here they are only looked at and deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.domain.errors import CloudError
from shared.domain.headroom import Allowance
from shared.openstack.answers import Doc
from shared.openstack.session import CloudSession, segment

SERVICE: Final = "load-balancer"

_PENDING: Final = "PENDING_"
_DELETED: Final = "DELETED"

_QUOTAS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = MappingProxyType(
    {
        "load_balancers": (("loadbalancer", "load_balancer"), "loadbalancers"),
        "listeners": (("listener",), "listeners"),
        "pools": (("pool",), "pools"),
        "pool_members": (("member",), "pools"),
        "health_monitors": (("healthmonitor", "health_monitor"), "healthmonitors"),
    }
)
"""Our names of quotas; Octavia's, new and old; and the collection by which the use is counted."""


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A load balancer, with what tells whose it is."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    status: str
    """Octavia's provisioning_status: ACTIVE, ERROR, or PENDING_ and what it is at."""
    network_id: str
    """Where its virtual address is."""
    port_id: str
    """The port that has the virtual address."""

    @property
    def pending(self) -> bool:
        """Octavia is at it and refuses every change with 409 until it has finished; one in ERROR can be deleted."""
        return self.status.startswith(_PENDING)


@dataclass(frozen=True, slots=True)
class OctaviaClient:
    """Octavia in one project, or as one caller."""

    session: CloudSession

    async def load_balancers(self, project_id: str) -> list[LoadBalancer]:
        """The project's load balancers; none where the cloud has no Octavia.

        Raises:
            CloudError: 403 where Octavia wants a role of its own (`load-balancer_member`) that the token lacks.
        """
        base = await self._base()
        if base is None:
            return []
        listed = await self.session.pages(
            SERVICE, f"{base}/loadbalancers", "loadbalancers", params={"project_id": project_id}
        )
        return [one for one in map(_load_balancer, listed) if one.status != _DELETED]

    async def load_balancer(self, load_balancer_id: str) -> LoadBalancer | None:
        """One; None when there is none of that id, or no Octavia."""
        base = await self._base()
        found = None
        if base is not None:
            found = await self.session.get(SERVICE, f"{base}/loadbalancers/{segment(load_balancer_id)}")
        return None if found is None else _load_balancer(found.doc("loadbalancer"))

    async def delete(self, load_balancer_id: str) -> bool:
        """Begin the deletion of it and all that hangs on it (listeners, pools, monitors); False when it was gone.

        Raises:
            CloudError: 409 while it is `pending`.
        """
        base = await self._base()
        if base is None:
            return False
        try:
            await self.session.call(
                SERVICE,
                "DELETE",
                f"{base}/loadbalancers/{segment(load_balancer_id)}",
                params={"cascade": "true"},
                resource=f"load balancer {load_balancer_id}",
            )
        except CloudError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def headroom(self, project_id: str) -> dict[str, Allowance]:
        """The project's quotas and their use, by the names of `shared.domain.headroom`.

        Octavia does not tell the use, so what is limited is counted. Empty, which is "not known", where the cloud keeps
        its quotas from the token or has no Octavia.
        """
        base = await self._base()
        if base is None:
            return {}
        try:
            path = f"{base}/quotas/{segment(project_id)}"
            quotas = (await self.session.call(SERVICE, "GET", path, wants_json=True)).json().doc("quota")
            limits = {ours: _limit(quotas, theirs) for ours, (theirs, _) in _QUOTAS.items()}
            counted = {ours: _QUOTAS[ours][1] for ours, limit in limits.items() if limit is not None}
            there = await self._listed(base, project_id, sorted(set(counted.values())))
        except CloudError as error:
            if error.status not in {403, 404}:
                raise
            return {}
        return {
            ours: Allowance(limit, _use(ours, there[counted[ours]]) if limit is not None else 0)
            for ours, limit in limits.items()
        }

    async def _listed(self, base: str, project_id: str, collections: list[str]) -> dict[str, list[Doc]]:
        found = await asyncio.gather(
            *(
                self.session.pages(SERVICE, f"{base}/{name}", name, params={"project_id": project_id})
                for name in collections
            )
        )
        return dict(zip(collections, found, strict=True))

    async def _base(self) -> str | None:
        """Where the API begins: the catalog has Octavia's address with or without its version. None: no Octavia."""
        endpoints = (await self.session.tokens.token()).endpoints
        if not endpoints.has(SERVICE):
            return None
        return "/lbaas" if endpoints.url(SERVICE).endswith(("/v2", "/v2.0")) else "/v2.0/lbaas"


def _load_balancer(doc: Doc) -> LoadBalancer:
    return LoadBalancer(
        id=doc.text("id"),
        name=doc.maybe("name") or "",
        description=doc.maybe("description") or "",
        tags=doc.texts("tags"),
        status=doc.maybe("provisioning_status") or "",
        network_id=doc.maybe("vip_network_id") or "",
        port_id=doc.maybe("vip_port_id") or "",
    )


def _limit(quotas: Doc, names: tuple[str, ...]) -> int | None:
    most = next((quotas.number(name) for name in names if quotas.data.get(name) is not None), -1)
    return None if most < 0 else most


def _use(ours: str, there: list[Doc]) -> int:
    return sum(len(pool.docs("members")) for pool in there) if ours == "pool_members" else len(there)
