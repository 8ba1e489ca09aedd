"""Sign requests as the gateway sees them: what is known before one is made, many written at once, many looked at once.

The hot path of signing: one query before, one commit for all who wait, one query after (libraries §6). Which authority
signs during a rotation is the rule of `shared.domain.rotation.Rotation.signing`, here in SQL for the gateway's role,
which may not see who has a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.reader import Source
from shared.db.repositories.sign_requests import PATIENCE, REPEAT_WITHIN, SignOutcome, SignState, digest_of
from shared.db.tables import bays, sign_requests

_GIVEN: Final = ("id", "bay_id", "authority_kind", "profile", "requester", "csr", "csr_digest", "validity_seconds")
_NEW: Final = {name: bindparam(f"new_{name}", type_=sign_requests.c[name].type) for name in _GIVEN}
_ADD: Final = (
    insert(sign_requests)
    .from_select(
        [*_GIVEN, "expires_at"],
        select(*_NEW.values(), func.now() + bindparam("patience", PATIENCE))
        .where(bays.c.id == _NEW["bay_id"])
        .with_for_update(read=True, key_share=True, of=bays),
    )
    .on_conflict_do_nothing()
)


@dataclass(frozen=True)
class Asking:
    """What a person asks of a bay's authority; `validity_seconds` None: as long as the settings say."""

    authority_kind: str
    requester: str
    csr: str
    profile: str
    validity_seconds: int | None


@dataclass(frozen=True)
class NewRequest:
    """A row of `sign_requests` to be."""

    id: UUID
    bay_id: UUID
    asking: Asking


@dataclass(frozen=True)
class Standing:
    """A bay and what its authority has done about the request before."""

    bay_id: UUID
    project_id: str
    user_id: str
    status: str
    tls_disabled: bool
    driver: str
    can_sign: bool
    """Whether there is an authority of that kind."""
    pem: str | None
    """The certificate, if the same was asked and answered within 10 minutes."""


_STANDING: Final = """
SELECT bays.id, bays.project_id, bays.user_id, bays.status, coalesce(bays.spec -> 'tls_disabled' = 'true', false),
       bays.driver, signing.id IS NOT NULL, known.pem
FROM bays
LEFT JOIN LATERAL (
    SELECT authorities.id
    FROM authorities LEFT JOIN authority_rotations AS rotation ON rotation.bay_id = authorities.bay_id
    WHERE authorities.bay_id = bays.id AND authorities.kind = $1
      AND authorities.retired_at IS NULL AND authorities.not_after > now()
      AND (rotation.bay_id IS NULL OR authorities.generation
           = CASE rotation.phase WHEN 'trust' THEN rotation.previous ELSE rotation.target END)
    ORDER BY authorities.generation DESC LIMIT 1
) AS signing ON true
LEFT JOIN LATERAL (
    SELECT certificates.pem
    FROM sign_requests AS before JOIN certificates ON certificates.sign_request_id = before.id
    WHERE before.bay_id = bays.id AND before.requester = $2 AND before.csr_digest = $3 AND before.profile = $4
      AND before.validity_seconds IS NOT DISTINCT FROM $5 AND certificates.authority_id = signing.id
      AND certificates.state = 'issued' AND certificates.created_at > now() - make_interval(secs => $6)
    ORDER BY certificates.created_at DESC LIMIT 1
) AS known ON true
WHERE """
_BY_ID: Final = "bays.id = $7"
_BY_NAME: Final = "bays.name = $7"
_OF_PROJECT: Final = " AND bays.project_id = $8"

_OUTCOMES: Final = """
SELECT asked.id, asked.state, asked.reason, certificates.pem
FROM sign_requests AS asked LEFT JOIN certificates ON certificates.id = asked.certificate_id
WHERE asked.id = ANY($1)
"""


async def standing(source: Source, project_id: str | None, bay: UUID | str, asking: Asking) -> list[Standing]:
    """The bays of that id or name, two at most; `project_id` None = every project's (an administrator)."""
    sql = _STANDING + (_BY_ID if isinstance(bay, UUID) else _BY_NAME) + (_OF_PROJECT if project_id is not None else "")
    rows = await source.fetch(
        f"{sql} LIMIT 2",
        asking.authority_kind,
        asking.requester,
        digest_of(asking.csr),
        asking.profile,
        asking.validity_seconds,
        REPEAT_WITHIN.total_seconds(),
        bay,
        *(() if project_id is None else (project_id,)),
    )
    return [Standing(*row) for row in rows]


async def add_all(conn: AsyncConnection, requests: Sequence[NewRequest]) -> None:
    """Write pending requests, which expire after `PATIENCE`; their ids go into the messages. Safe to repeat.

    One whose bay is gone is not written, and does not keep the others from it. Without the lock a bay could go between
    the look at it and the check of the foreign key, which would fail them all. The lock is the one that this check
    takes itself: who deletes the bay now waits, and if they came first, we wait and then do not find it.
    """
    rows = [
        {
            "new_id": one.id,
            "new_bay_id": one.bay_id,
            "new_authority_kind": one.asking.authority_kind,
            "new_profile": one.asking.profile,
            "new_requester": one.asking.requester,
            "new_csr": one.asking.csr,
            "new_csr_digest": digest_of(one.asking.csr),
            "new_validity_seconds": one.asking.validity_seconds,
        }
        for one in requests
    ]
    await conn.execute(_ADD, rows)


async def outcomes(source: Source, ids: Sequence[UUID]) -> dict[UUID, SignOutcome]:
    """What has become of these requests; those that are gone, perhaps with their bay, are not among them."""
    rows = await source.fetch(_OUTCOMES, ids)
    return {row[0]: SignOutcome(SignState(row[1]), row[2], row[3]) for row in rows}
