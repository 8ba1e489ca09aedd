"""Which authorities a node of a bay is to trust now (`shared.domain.rotation` has the rules)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.factory import Context
from shared.db.repositories import authorities, rotations
from shared.db.repositories.authorities import KINDS, Authority
from shared.domain import rotation as rules


@dataclass(frozen=True)
class Trust:
    """What one node is to trust, and whether the rotation of its bay wants other certificates of it."""

    authorities: Sequence[Authority]
    renews: bool

    @property
    def bundles(self) -> dict[str, str]:
        """The certificates by kind, one after the other; a kind that the bay has not is left out."""
        of = {kind: [one.certificate for one in self.authorities if one.kind == kind] for kind in KINDS}
        return {kind: "".join(pem.rstrip("\n") + "\n" for pem in pems) for kind, pems in of.items() if pems}

    @property
    def revision(self) -> str:
        """Names this set of authorities."""
        return rules.revision_of(one.certificate for one in self.authorities)


@asynccontextmanager
async def one_view(context: Context) -> AsyncIterator[AsyncConnection]:
    """A connection whose queries all see the same moment.

    A rotation begins and ends in one transaction each, together with its authorities. Who read the one before and the
    other after it would tell a node to trust what it should not trust yet, or what it had just dropped.
    """
    async with context.engine.connect() as conn:
        yield await conn.execution_options(isolation_level="REPEATABLE READ")


async def of_node(conn: AsyncConnection, bay_id: UUID, server_id: str, own: int | None = None) -> Trust:
    """What that node is to trust; `own` is the generation of its certificate, absent: it gets one now."""
    rotation = await rotations.of(conn, bay_id)
    trusted = await authorities.trusted(conn, bay_id, *KINDS)
    if rotation is None:
        return Trust(trusted, renews=False)
    turn = await rotations.turn_of(conn, bay_id, server_id)
    own = rotation.signing if own is None else own
    generations = rules.trusted(rotation, turn, own)
    return Trust([one for one in trusted if one.generation in generations], rules.renews(rotation, turn, own))
