"""Where the private keys of authorities lie: sealed in our database, or in Barbican. Rows of both kinds can be opened.

Keeping a key in Barbican, step by step (names are not unique there, and a POST that timed out may have made a secret):

    1. List by name (bay, kind and generation). What is found was made by an earlier try of this step.
    2. Found: the oldest that has a payload is the key; an authority's certificate is made from that key.
    3. None: make a key, store it, and list again: of two tries that both stored one, both take the oldest.
    4. Delete the others.
    5. The caller writes the authority and the secret's address in one transaction.

Only secrets that our own user made count, in 1 to 4 and at the bay's delete: others of the project can use the name,
and a key that somebody else knows must not become an authority's.

Dying after any of these leaves at most secrets that no row knows: the next try takes one of them, or the bay's delete
removes all by their names. Step 4 cannot delete a secret that a row knows: `guard` asks for the lease before it, who
takes over an expired lease looks only when the calls of the one before have ended, and an authority that has a row is
not made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from services.certs.envelope import Envelope, EnvelopeError
from shared.db.repositories.authorities import KINDS, SERVICE_ACCOUNT, Authority, SealedKey, SecretRef, StoredKey
from shared.openstack.barbican import BarbicanClient

NewKey = Callable[[], Awaitable[bytes]]
"""Makes a private key: PKCS#8 DER, not encrypted."""
Guard = Callable[[], Awaitable[None]]
"""To be awaited before each mutating call (`StepContext.guard`)."""


class KeyGone(EnvelopeError):
    """Somebody removed a key from Barbican behind our back."""


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is."""

    authority_id: UUID
    bay_id: UUID
    kind: str
    generation: int

    @classmethod
    def of(cls, authority: Authority) -> KeyOwner:
        """That authority as an owner."""
        return cls(authority.id, authority.bay_id, authority.kind, authority.generation)

    @property
    def secret_name(self) -> str:
        """How the key is called in Barbican."""
        return secret_name(self.bay_id, self.kind, self.generation)


@dataclass(frozen=True)
class KeptKey:
    """A key that is kept, and what the authority's row says of where."""

    key: bytes = field(repr=False)
    stored: StoredKey


class KeyStore(Protocol):
    """A place for new keys."""

    async def keep(self, owner: KeyOwner, new_key: NewKey, guard: Guard) -> KeptKey:
        """The owner's key, made now unless an earlier try left one, kept before this returns; may be repeated.

        Raises:
            CloudError: the place does not answer, or refuses.
            EnvelopeError: it has no master key.
        """


@dataclass(frozen=True)
class DatabaseKeys:
    """Keys in our database, sealed under the master key, which is had by asking `envelope`."""

    envelope: Callable[[], Awaitable[Envelope]]

    async def keep(self, owner: KeyOwner, new_key: NewKey, guard: Guard) -> KeptKey:
        """See `KeyStore`. Nothing is kept but by the row that the caller writes."""
        envelope = await self.envelope()
        key = await new_key()
        return KeptKey(key, envelope.seal(key, bay_id=owner.bay_id, authority_id=owner.authority_id))

    async def open(self, stored: SealedKey, owner: KeyOwner) -> bytes:
        """The key. Raises EnvelopeError."""
        return (await self.envelope()).open(stored, bay_id=owner.bay_id, authority_id=owner.authority_id)


@dataclass(frozen=True)
class BarbicanKeys:
    """Keys in Barbican, in the project of our service user."""

    barbican: BarbicanClient

    async def keep(self, owner: KeyOwner, new_key: NewKey, guard: Guard) -> KeptKey:
        """See `KeyStore`; the numbers are those of the module."""
        found = await self._oldest(owner.secret_name, guard)  # 1, 2
        if found is not None:
            return found
        key = await new_key()
        await guard()
        await self.barbican.store(owner.secret_name, key, "private")  # 3
        found = await self._oldest(owner.secret_name, guard)
        if found is None:
            raise EnvelopeError(f"The secret {owner.secret_name} is not in Barbican right after it was stored.")
        return found

    async def open(self, stored: SecretRef) -> bytes | None:
        """The key; None when it is not in Barbican any more. Raises CloudError."""
        return await self.barbican.payload(stored.ref)

    async def destroy(self, stored: Iterable[StoredKey], names: Iterable[str], guard: Guard) -> None:
        """Remove keys: by the addresses in the rows, and by every name that they can have, also those of tries that
        never wrote a row. Raises CloudError."""
        refs = {one.ref for one in stored if isinstance(one, SecretRef)}
        for name in names:
            refs |= {one.ref for one in await self.barbican.own(name)}
        for ref in sorted(refs):
            await guard()
            await self.barbican.delete(ref)

    async def _oldest(self, name: str, guard: Guard) -> KeptKey | None:
        """The key in the oldest secret of that name that has one; the others are deleted (4)."""
        found = await self.barbican.own(name)
        for secret in found:
            key = await self.barbican.payload(secret.ref)
            if not key:
                continue
            for other in found:
                if other.id != secret.id:
                    await guard()
                    await self.barbican.delete(other.ref)
            return KeptKey(key, SecretRef(secret.ref))
        return None


@dataclass(frozen=True)
class Keys:
    """All places: new keys go to `chosen`, a row tells where an older one lies."""

    chosen: KeyStore
    database: DatabaseKeys
    barbican: BarbicanKeys

    async def keep(self, owner: KeyOwner, new_key: NewKey, guard: Guard) -> KeptKey:
        """See `KeyStore`."""
        return await self.chosen.keep(owner, new_key, guard)

    async def open(self, stored: StoredKey, authority: Authority) -> bytes:
        """The authority's key.

        Raises:
            CloudError: Barbican cannot be asked now (`retryable`), or refuses.
            EnvelopeError: it is sealed under another master key, or was changed.
            KeyGone: it is not in Barbican any more.
        """
        if isinstance(stored, SealedKey):
            return await self.database.open(stored, KeyOwner.of(authority))
        key = await self.barbican.open(stored)
        if key is None:
            raise KeyGone(f"The key of the bay's {authority.kind} certificate authority is not in Barbican any more.")
        return key

    async def destroy(self, stored: Iterable[StoredKey], names: Iterable[str], guard: Guard) -> None:
        """Remove those keys of a bay, and all of those names, that are not in its rows. Where new keys go into the
        database, a bay without a key in Barbican costs no call to it. Raises CloudError."""
        known = list(stored)
        if self.chosen is self.barbican or any(isinstance(one, SecretRef) for one in known):
            await self.barbican.destroy(known, names, guard)


def all_names(bay_id: UUID, generations: Iterable[int]) -> list[str]:
    """Every name that a key of the bay can have: of the generations that its rows know, and of the next one, whose
    rows may never have been written."""
    upto = max(generations, default=0) + 1
    return [secret_name(bay_id, kind, one) for kind in (*KINDS, SERVICE_ACCOUNT) for one in range(1, upto + 1)]


def secret_name(bay_id: UUID, kind: str, generation: int) -> str:
    """The name of the secret with that key: `jeroboam-<bay>-<kind>-<generation>`."""
    return f"jeroboam-{bay_id}-{kind}-{generation}"
