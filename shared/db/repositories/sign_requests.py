"""Sign requests (written by the gateway, decided by certs) and the certificates that come of them.

    sign_requests   pending → signed | refused | expired
    certificates    intended → issued | abandoned          the intent is committed before a key is used

How the authority decides them is in `signing.py`. Only Postgres's clock counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import sign_requests

OWNER_PROFILE: Final = "owner"
"""Profile of a certificate that a bay's owner asks for: the subject as given (contract §5.2)."""

NODE_PREFIX: Final = "node:"
"""Before the name of a node's profile (`shared/domain/node_profiles.py`)."""

PATIENCE: Final = timedelta(seconds=10)
"""How long the gateway waits for a signature."""

REPEAT_WITHIN: Final = timedelta(minutes=10)
"""The same CSR of the same requester gets the same certificate for so long."""


class SignState(StrEnum):
    """What has become of a sign request; all but the first are final."""

    PENDING = "pending"
    SIGNED = "signed"
    REFUSED = "refused"
    EXPIRED = "expired"


class CertificateState(StrEnum):
    """Where a certificate stands; `abandoned` was planned but can never be signed, because its key is destroyed."""

    INTENDED = "intended"
    ISSUED = "issued"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class SignRequest:
    """One row of `sign_requests`."""

    id: UUID
    bay_id: UUID
    authority_kind: str
    profile: str
    requester: str
    csr: str
    csr_digest: str
    state: SignState
    validity_seconds: int | None
    """How long the certificate is wanted for; None: as long as the settings say."""
    attestation_id: UUID | None
    """What must be attested before this may be signed; None for a person's request."""
    age: float
    """Seconds since it was written, when it was read."""

    @property
    def wish(self) -> tuple[object, ...]:
        """What must be the same for the same certificate."""
        return self.bay_id, self.authority_kind, self.requester, self.profile, self.validity_seconds, self.csr_digest


@dataclass(frozen=True)
class SignOutcome:
    """What the gateway answers from: `pem` when signed, `reason` when refused."""

    state: SignState
    reason: str | None
    pem: str | None


def digest_of(csr: str) -> str:
    """By what the same CSR is known again."""
    return hashlib.sha256(csr.strip().encode()).hexdigest()


async def add(
    conn: AsyncConnection,
    *,
    bay_id: UUID,
    authority_kind: str,
    requester: str,
    csr: str,
    profile: str = OWNER_PROFILE,
    patience: timedelta = PATIENCE,
    attestation_id: UUID | None = None,
    validity_seconds: int | None = None,
) -> UUID:
    """Write a pending request that expires after `patience`; its id goes into the message."""
    request_id = uuid4()
    await conn.execute(
        insert(sign_requests).values(
            id=request_id,
            bay_id=bay_id,
            authority_kind=authority_kind,
            profile=profile,
            requester=requester,
            csr=csr,
            csr_digest=digest_of(csr),
            expires_at=func.now() + patience,
            attestation_id=attestation_id,
            validity_seconds=validity_seconds,
        )
    )
    return request_id
