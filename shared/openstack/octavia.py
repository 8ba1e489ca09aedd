"""Octavia: whether a cloud has load balancers, and what a project may still have of them. Heat makes them."""

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
class OctaviaClient:
    """Octavia in one project, or as one caller."""

    session: CloudSession

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


def _limit(quotas: Doc, names: tuple[str, ...]) -> int | None:
    most = next((quotas.number(name) for name in names if quotas.data.get(name) is not None), -1)
    return None if most < 0 else most


def _use(ours: str, there: list[Doc]) -> int:
    return sum(len(pool.docs("members")) for pool in there) if ours == "pool_members" else len(there)
