"""Authority keys at rest: an AES-256-GCM envelope.

Every authority key is encrypted with a data key of its own; the data key is encrypted ("wrapped") with the master key,
whose id stands in the record, so that a new master key only has to re-wrap 32 bytes an authority (`rewrap.py`). Both
ciphertexts authenticate whose key it is (bay and authority), so a record copied to another bay's row does not open.

    wrapped_key, sealed = nonce (12 random bytes) | ciphertext | tag (16)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.db.repositories.authorities import SealedKey
from shared.domain.errors import JeroboamError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class EnvelopeError(JeroboamError):
    """A sealed key cannot be opened, or the master key is unusable. The message holds no key material."""


@dataclass(frozen=True)
class MasterKey:
    """The key-encryption key: 32 bytes, kept out of the repr, and an id that tells nothing about them."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def from_base64(cls, text: str) -> MasterKey:
        """Read 32 bytes in base64. Raises EnvelopeError for anything else."""
        try:
            secret = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise EnvelopeError("The master key must be 32 bytes in base64.") from None
        if len(secret) != KEY_BYTES:
            raise EnvelopeError(f"The master key must have {KEY_BYTES} bytes, this one has {len(secret)}.")
        return cls(hashlib.sha256(b"jeroboam master key id" + secret).hexdigest()[:16], secret)


class Envelope:
    """Seals authority keys under one master key; opens them under that one and others, while they are exchanged."""

    def __init__(self, master: MasterKey, others: Iterable[MasterKey] = ()) -> None:
        self._master = master
        self._wraps = {key.id: AESGCM(key.secret) for key in (master, *others)}

    @property
    def key_id(self) -> str:
        """The id of the master key that new records are sealed under."""
        return self._master.id

    def holds(self, key_id: str) -> bool:
        """Whether records under that master key can be opened."""
        return key_id in self._wraps

    def seal(self, key: bytes, *, bay_id: UUID, authority_id: UUID) -> SealedKey:
        """Encrypt `key` so that it opens only for this bay and authority."""
        owner = _owner(bay_id, authority_id)
        data_key = AESGCM.generate_key(8 * KEY_BYTES)
        return SealedKey(
            key_id=self.key_id,
            wrapped_key=_encrypt(self._wraps[self.key_id], data_key, owner),
            sealed=_encrypt(AESGCM(data_key), key, owner),
        )

    def open(self, record: SealedKey, *, bay_id: UUID, authority_id: UUID) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            EnvelopeError: it was sealed under a master key that is not here or for another owner, or was changed.
        """
        owner = _owner(bay_id, authority_id)
        data_key = self._data_key(record, bay_id, authority_id)
        try:
            return _decrypt(AESGCM(data_key), record.sealed, owner)
        except (InvalidTag, ValueError):
            raise _changed(authority_id) from None

    def rewrap(self, record: SealedKey, *, bay_id: UUID, authority_id: UUID) -> SealedKey:
        """The same record with its data key wrapped under the master key for new records; the authority's own key is
        not decrypted. Raises EnvelopeError as `open`."""
        data_key = self._data_key(record, bay_id, authority_id)
        wrapped = _encrypt(self._wraps[self.key_id], data_key, _owner(bay_id, authority_id))
        return SealedKey(self.key_id, wrapped, record.sealed)

    def _data_key(self, record: SealedKey, bay_id: UUID, authority_id: UUID) -> bytes:
        wrap = self._wraps.get(record.key_id)
        if wrap is None:
            held = ", ".join(self._wraps)
            raise EnvelopeError(f"Sealed under master key {record.key_id}; this process holds {held}.")
        try:
            return _decrypt(wrap, record.wrapped_key, _owner(bay_id, authority_id))
        except (InvalidTag, ValueError):
            raise _changed(authority_id) from None


def _changed(authority_id: UUID) -> EnvelopeError:
    return EnvelopeError(f"The key of authority {authority_id} was changed or belongs elsewhere.")


def _owner(bay_id: UUID, authority_id: UUID) -> bytes:
    return bay_id.bytes + authority_id.bytes


def _encrypt(cipher: AESGCM, data: bytes, owner: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, owner)


def _decrypt(cipher: AESGCM, record: bytes, owner: bytes) -> bytes:
    return cipher.decrypt(record[:_NONCE_BYTES], record[_NONCE_BYTES:], owner)
