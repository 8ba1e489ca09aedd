"""What lets us into a bay: the authorities that it trusts now, and a client certificate by one of them.

A certificate and its key are of this process's memory alone, an hour at most, for the bays that were asked of last.
They are had anew when their time is nearly over, when the bay trusts other authorities than then or another of them
signs (a rotation), and when its API would not take them.
"""

from __future__ import annotations

import random
import ssl
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scaler.signatures import SERVICE, Signatures
from shared.coe.connect import ClientCertificate, tls
from shared.db.repositories import authorities, rotations
from shared.domain import client_profiles
from shared.domain.bay import Bay
from shared.domain.errors import CloudError
from shared.pki_client import describe, new_key_and_csr

KEPT: Final = 1_024
"""Bays. With fewer, a thousand bays that are looked at in turn would mean a signature for each look; one is 25 KB."""

NOT_AGAIN: Final = 60.0
"""Seconds in which a certificate that an API does not take is not replaced: an API that takes none must not keep the
authority busy."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The authorities that a bay trusts, and the generation that signs."""

    trusted: tuple[UUID, ...]
    signing: int


@dataclass(frozen=True, slots=True)
class Pass:
    """The way in, while the bay's authorities stand so."""

    standing: Standing
    context: ssl.SSLContext = field(repr=False)
    made_at: float
    renew_at: float
    """By this process's clock, like the one before."""


class Passes:
    """Of one process, by bay."""

    def __init__(
        self, engine: AsyncEngine, signatures: Signatures, *, kept: int = KEPT, not_again: float = NOT_AGAIN
    ) -> None:
        self._engine = engine
        self._signatures = signatures
        self._kept = kept
        self._not_again = not_again
        self._known: OrderedDict[UUID, Pass] = OrderedDict()

    async def of(self, bay: Bay) -> ssl.SSLContext:
        """For calls to the bay's API. Two who ask at once for one that is not known may both have one made.

        Raises:
            CloudError: the bay has no authority, or none signs now.
        """
        async with self._engine.connect() as conn:
            found = await authorities.trusted(conn, bay.id, authorities.KINDS[0])
            rotation = await rotations.of(conn, bay.id) if len(found) > 1 else None
        if not found:
            raise CloudError("The bay has no certificate authority yet.", service=SERVICE, retryable=True)
        signing = found[-1].generation if rotation is None else rotation.signing
        standing = Standing(tuple(one.id for one in found), signing)
        known = self._known.get(bay.id)
        if known is None or known.standing != standing or known.renew_at <= time.monotonic():
            # A server that takes the certificate of an authority need not have heard of the next one yet: hence the
            # bundle has all that are trusted, but the certificate is of the one that signs.
            known = self._known[bay.id] = await self._new(bay, standing, "\n".join(one.certificate for one in found))
        self._known.move_to_end(bay.id)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        return known.context

    def refused(self, bay: Bay) -> None:
        """The bay's API would not take ours: the next one is new."""
        known = self._known.get(bay.id)
        if known is not None and known.made_at + self._not_again <= time.monotonic():
            del self._known[bay.id]

    async def _new(self, bay: Bay, standing: Standing, bundle: str) -> Pass:
        profile = client_profiles.PROFILES[client_profiles.SCALER]
        ours = new_key_and_csr(profile.common_name, profile.organization)
        certificate = await self._signatures.sign(bay.id, ours.csr_pem)
        context = tls(bundle, ClientCertificate(certificate, ours.key_pem))
        now, lives = time.monotonic(), describe(certificate).not_after - datetime.now(UTC)
        # Not all at the same moment: after a start they were all made in the same minute.
        renew_at = now + max(lives.total_seconds(), 0.0) * random.uniform(0.7, 0.9)
        return Pass(standing, context, now, renew_at)
