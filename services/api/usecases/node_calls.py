"""What a node asks and reports by its certificate (docs/driver-contract.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from services.api import node_proof
from services.api.errors import NotProven
from services.api.factory import Context
from services.api.usecases import trust
from shared.contracts.http.nodes import NodeCredentialOut, NodeReport, NodeSelfOut
from shared.db.repositories import masters, node_calls, node_credentials
from shared.db.repositories.attestations import requester_of
from shared.db.repositories.authorities import KINDS
from shared.db.repositories.node_calls import IssuedCertificate
from shared.db.repositories.sign_requests import NODE_PREFIX
from shared.domain.errors import NotFound
from shared.domain.node_profiles import NODE
from shared.pki_client import ChainError, verify_chain

CLOCKS_DIFFER: Final = 300
"""Seconds by which a node's clock may differ from ours."""

STRANGER: Final = "The certificate is not one that a bay's authority issued to a node, or it does not hold any more."
"""One sentence for all of that, so that nobody learns which bays there are."""


@dataclass(frozen=True)
class Request:
    """A node's request as it came, before anything is believed."""

    headers: Mapping[str, str]
    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Node:
    """A node that proved itself."""

    bay_id: UUID
    server_id: str
    certificate: IssuedCertificate

    @property
    def renew(self) -> bool:
        """Whether less than a third of its certificate's life is left, by Postgres's clock."""
        life = self.certificate.not_after - self.certificate.not_before
        return self.certificate.not_after - self.certificate.now < life / 3


async def known_node(context: Context, request: Request) -> Node:
    """Whose call this is: the certificate's row says it, once the signature is that of the certificate's key.

    Raises:
        NotProven: with the reason.
    """
    proof = node_proof.check(request.headers, request.method, _paths(context, request.path), request.body)
    async with context.engine.connect() as conn:
        issued = await node_calls.issued(conn, proof.serial, NODE_PREFIX + NODE)
    if issued is None or not proof.is_of(issued.pem):
        raise NotProven(STRANGER)
    if abs(issued.now.timestamp() - proof.time) > CLOCKS_DIFFER:
        raise NotProven(f"{node_proof.TIME} differs by more than {CLOCKS_DIFFER} s from the time here.")
    try:
        verify_chain(issued.pem, issued.authority_pem, now=issued.now)
    except ChainError:
        raise NotProven(STRANGER) from None
    return Node(issued.bay_id, issued.requester.removeprefix(requester_of("")), issued)


async def wishes(context: Context, node: Node) -> tuple[NodeSelfOut, str]:
    """What is wanted of the node, and its ETag."""
    async with trust.one_view(context) as conn:
        trusted = await trust.of_node(conn, node.bay_id, node.server_id, node.certificate.generation)
        active = await node_calls.operation_active(conn, node.bay_id)
        letter = await node_credentials.letter_for(conn, node.bay_id, node.server_id, node.certificate.serial)
        wish = await masters.leaving_for(conn, node.bay_id, node.server_id)
    bundles = trusted.bundles
    wanted = NodeSelfOut(
        revision=trusted.revision,
        ca_pem=bundles.get(KINDS[0], ""),
        authorities=bundles,
        renew=node.renew or trusted.renews,
        operation_active=active,
        credential_generation=letter.generation if letter else 0,
        masters=wish.addresses,
        leaving=wish.leaving,
    )
    return wanted, _tag(wanted, node)


def _tag(wanted: NodeSelfOut, node: Node) -> str:
    """The ETag. It names the certificate that is to be renewed: of the next one that may be wanted anew."""
    renew = f"-renew-{node.certificate.serial}" if wanted.renew else ""
    active = "-active" if wanted.operation_active else ""
    waiting = f"-credential{wanted.credential_generation}" if wanted.credential_generation else ""
    others = hashlib.sha256(" ".join(wanted.masters).encode()).hexdigest()[:8]
    masters_are = f"-masters-{others}" if wanted.masters else ""
    leaves = f"-leaves-{wanted.leaving}" if wanted.leaving else ""
    return f'"{wanted.revision}{renew}{active}{waiting}{masters_are}{leaves}"'


async def credential(context: Context, node: Node) -> NodeCredentialOut:
    """The cloud credential that waits for the node.

    Raises:
        NotFound: none does, or it is for another certificate than the one that the node shows.
    """
    async with context.engine.connect() as conn:
        letter = await node_credentials.letter_for(conn, node.bay_id, node.server_id, node.certificate.serial)
    if letter is None:
        raise NotFound("No cloud credential waits for this node and its certificate.")
    return NodeCredentialOut(generation=letter.generation, sealed=letter.sealed)


async def report(context: Context, node: Node, said: NodeReport) -> None:
    """Keep what the node says of itself.

    What it says of its problem is shown to people on terminals: characters that are none to look at are taken out.
    """
    problem = None if said.problem is None else "".join(one if one.isprintable() else " " for one in said.problem)
    async with context.engine.begin() as conn:
        await node_calls.report(
            conn,
            node.bay_id,
            node.server_id,
            healthy=said.healthy,
            revision=said.revision,
            units=said.units,
            credential_generation=said.credential_generation,
            serial=node.certificate.serial,
            authority_generation=node.certificate.generation,
            parted=said.parted,
            problem=problem,
            next_within=said.next_within,
        )


def _paths(context: Context, path: str) -> tuple[str, ...]:
    """The path as it came to us, and as it was sent to a proxy that takes the front of it off."""
    front = urlsplit(context.settings.public_url or "").path.rstrip("/")
    return (path, front + path) if front else (path,)
