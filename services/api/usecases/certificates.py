"""Certificates of a bay: its authorities' public halves (contract §1.14). Signing is in `sign.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.api.faces import BAY, CLUSTER, Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup
from shared.contracts.http.base import bad
from shared.db.repositories import authorities, bays, stacks
from shared.domain.bay import Bay
from shared.domain.errors import NotFound

_KINDS: Final = {
    "kubernetes": "kubernetes",
    "etcd": "etcd",
    "front_proxy": "front_proxy",
    "front-proxy": "front_proxy",
}


@dataclass(frozen=True)
class Certificate:
    """A certificate of a bay; `csr` where one was signed."""

    bay_id: UUID
    pem: str
    csr: str | None = None


async def authority(context: Context, facts: Facts, ident: str, kind: str | None) -> Certificate:
    """The bay's authority of that kind, absent = the cluster's own; during a rotation the old one and the new one.

    Whoever writes both into a client's configuration has one that works throughout.

    Raises:
        NotFound: no such bay, or it has no authority yet.
    """
    wanted = kind_of(kind)
    face = BAY if facts.version <= BAY.sync_until else CLUSTER  # old clients say bay, and send no microversion
    bay = await _bay(context, facts, face, ident, "certificate:get")
    async with context.engine.connect() as conn:
        found = await stacks.authority_certificate(conn, bay.id, wanted)
    if found is None:
        raise NotFound(f"{face.word} {ident} has no {wanted} certificate authority; its status is {bay.status.value}.")
    return Certificate(bay.id, found)


def kind_of(name: str | None) -> str:
    """The kind of authority that the API calls so, absent = the cluster's own. Raises InvalidInput."""
    if name is None:
        return authorities.KINDS[0]
    if name not in _KINDS:
        raise bad("ca_cert_type", name, f"Value should be one of: {', '.join(_KINDS)}")
    return _KINDS[name]


async def _bay(context: Context, facts: Facts, face: Face, ident: str, rule: str) -> Bay:
    """The bay, if the caller may; by default who made it may, and an administrator."""
    scope = context.policy.scope(facts.caller, "cluster:get_one_all_projects")
    row_id = (await lookup.find(context.reader, face, scope, ident)).id
    async with context.engine.connect() as conn:
        bay = await bays.get(conn, row_id)
    if bay is None:
        raise face.missing(ident)
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    return bay
