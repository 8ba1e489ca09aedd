"""Authority keys at rest: an AES-256-GCM envelope.

Every authority key is encrypted with a data key of its own; the data key is encrypted ("wrapped") with the master key,
whose id stands in the record, so that a new master key only has to re-wrap 32 bytes an authority. Both ciphertexts
authenticate whose key it is (bay and authority), so a record copied to another bay's row does not open.

    wrapped_key, sealed = nonce (12 random bytes) | ciphertext | tag (16)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
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
    """Seals and opens authority keys under one master key."""

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._wrap = AESGCM(master.secret)

    def seal(self, key: bytes, *, bay_id: UUID, authority_id: UUID) -> SealedKey:
        """Encrypt `key` so that it opens only for this bay and authority."""
        owner = _owner(bay_id, authority_id)
        data_key = AESGCM.generate_key(8 * KEY_BYTES)
        return SealedKey(
            key_id=self._master.id,
            wrapped_key=_encrypt(self._wrap, data_key, owner),
            sealed=_encrypt(AESGCM(data_key), key, owner),
        )

    def open(self, record: SealedKey, *, bay_id: UUID, authority_id: UUID) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            EnvelopeError: it was sealed under another master key or for another owner, or was changed.
        """
        if record.key_id != self._master.id:
            raise EnvelopeError(f"Sealed under master key {record.key_id}; this process holds {self._master.id}.")
        owner = _owner(bay_id, authority_id)
        try:
            data_key = _decrypt(self._wrap, record.wrapped_key, owner)
            return _decrypt(AESGCM(data_key), record.sealed, owner)
        except (InvalidTag, ValueError):
            raise EnvelopeError(f"The key of authority {authority_id} was changed or belongs elsewhere.") from None


def _owner(bay_id: UUID, authority_id: UUID) -> bytes:
    return bay_id.bytes + authority_id.bytes


def _encrypt(cipher: AESGCM, data: bytes, owner: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, owner)


def _decrypt(cipher: AESGCM, record: bytes, owner: bytes) -> bytes:
    return cipher.decrypt(record[:_NONCE_BYTES], record[_NONCE_BYTES:], owner)
