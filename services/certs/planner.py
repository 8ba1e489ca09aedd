"""What is to be signed for sign requests: each CSR held against its profile, for many requests at once.

No transaction is open while CSRs are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.bay_checks import check_bay
from services.certs.client_policy import ClientPolicy
from services.certs.node_plans import profile_of
from services.certs.profiles import Asker, LeafPlan, Refused, plan_leaf, plan_node
from shared.db.repositories import attestations, bays
from shared.db.repositories.attestations import Attestation, AttestState
from shared.db.repositories.sign_requests import SignRequest
from shared.drivers.contract import Driver


@dataclass(frozen=True)
class Planned:
    """What is to be signed, and for how long it is to be valid."""

    leaf: LeafPlan
    validity: timedelta


Plan = Planned | Refused | None
"""None: the node that asks is not attested (yet)."""
_Work = Callable[[], Plan]


@dataclass(frozen=True)
class Planner:
    """Reads and checks CSRs in threads (`cpu`)."""

    engine: AsyncEngine
    cpu: Executor
    validity: timedelta
    node_validity: timedelta
    drivers: Callable[[str], Driver]
    clients: ClientPolicy

    async def plan(self, requests: Collection[SignRequest]) -> dict[UUID, Plan]:
        """What each of the requests comes to, by its id."""
        of_nodes = await self._attested([one.attestation_id for one in requests if one.attestation_id is not None])
        work = {one.id: self._work(one, of_nodes) for one in requests}
        plans = await asyncio.get_running_loop().run_in_executor(self.cpu, _done, work)
        checked = await asyncio.gather(*(self._checked(one, plans[one.id]) for one in requests))
        return dict(zip(plans, checked, strict=True))

    def _work(self, request: SignRequest, of_nodes: Mapping[UUID, tuple[Attestation, Driver]]) -> _Work:
        if request.attestation_id is None:
            return partial(self._of_person, request)
        attested = of_nodes.get(request.attestation_id)
        return _nothing if attested is None else partial(self._of_node, request, *attested)

    def _of_person(self, request: SignRequest) -> Planned:
        asker = Asker(request.requester, request.authority_kind)
        leaf = plan_leaf(request.csr, request.profile, asker, self.clients)
        return Planned(leaf, self.clients.validity(request.profile, request.validity_seconds, self.validity))

    def _of_node(self, request: SignRequest, attested: Attestation, driver: Driver) -> Planned:
        profile = profile_of(request, attested, driver)
        return Planned(plan_node(attested.csr, profile, attested.node_name or ""), self.node_validity)

    async def _attested(self, ids: Collection[UUID]) -> dict[UUID, tuple[Attestation, Driver]]:
        """The attestations that are attested, and the drivers of their bays."""
        if not ids:
            return {}
        async with self.engine.connect() as conn:
            found = [
                one for one in (await attestations.get_all(conn, ids)).values() if one.state is AttestState.ATTESTED
            ]
            there = {bay_id: await bays.get(conn, bay_id) for bay_id in {one.bay_id for one in found}}
        drivers = {bay_id: self.drivers(bay.driver) for bay_id, bay in there.items() if bay is not None}
        return {one.id: (one, drivers[one.bay_id]) for one in found if one.bay_id in drivers}

    async def _checked(self, request: SignRequest, plan: Plan) -> Plan:
        """A person's plan must suit the bay, too."""
        if isinstance(plan, Planned) and request.attestation_id is None:
            try:
                await check_bay(self.engine, request, plan.leaf, self.clients, self.drivers)
            except Refused as refused:
                return refused
        return plan


def _nothing() -> None:
    return None


def _done(work: Mapping[UUID, _Work]) -> dict[UUID, Plan]:
    return {request_id: _one(one) for request_id, one in work.items()}


def _one(work: _Work) -> Plan:
    try:
        return work()
    except Refused as refused:
        return refused
