"""A sealed box: anybody with the public key can close it, only the holder of the private key can open it.

The gateway seals a node's application credential with the provisioner's public key, so that neither a database dump
nor the gateway itself can read it back. One box is a throw-away X25519 key agreement, HKDF-SHA256 over the shared
secret bound to both public keys, and AES-256-GCM, which also authenticates the `context` (whom the box belongs to).

    sealed = version (1 byte) | throw-away public key (32) | AES-GCM ciphertext and tag (length of data + 16)

The AES key is used for exactly one message, so the nonce may be constant.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.domain.errors import JeroboamError

_VERSION: Final = b"\x01"
_KEY_BYTES: Final = 32
_NONCE: Final = bytes(12)
_INFO: Final = b"jeroboam sealed box v1"


class SealError(JeroboamError):
    """A box or a key is unusable. The message never says anything about the contents."""


def generate_keypair() -> tuple[str, str]:
    """A new key pair: public key, private key, each 32 bytes in base64."""
    private = X25519PrivateKey.generate()
    return _encode(private.public_key().public_bytes_raw()), _encode(private.private_bytes_raw())


def public_of(private_b64: str) -> str:
    """The public half of a private key, base64. Raises SealError for a key that is not 32 bytes in base64."""
    return _encode(X25519PrivateKey.from_private_bytes(_key(private_b64)).public_key().public_bytes_raw())


def seal(public_b64: str, data: bytes, context: bytes) -> bytes:
    """Close a box over `data`, to be opened only with the same `context`.

    Raises:
        SealError: the public key is not usable.
    """
    receiver = X25519PublicKey.from_public_bytes(_key(public_b64))
    throw_away = X25519PrivateKey.generate()
    sender = throw_away.public_key().public_bytes_raw()
    cipher = _cipher(throw_away, receiver, sender, receiver.public_bytes_raw())
    return _VERSION + sender + cipher.encrypt(_NONCE, data, context)


def unseal(private_b64: str, sealed: bytes, context: bytes) -> bytes:
    """Open a box.

    Raises:
        SealError: the key is not usable, or the box was made for another key or context, or was changed.
    """
    head = len(_VERSION) + _KEY_BYTES
    if sealed[: len(_VERSION)] != _VERSION or len(sealed) < head:
        raise SealError("This is not a sealed box of a known version.")
    private = X25519PrivateKey.from_private_bytes(_key(private_b64))
    sender = sealed[len(_VERSION) : head]
    receiver = private.public_key().public_bytes_raw()
    cipher = _cipher(private, X25519PublicKey.from_public_bytes(sender), sender, receiver)
    try:
        return cipher.decrypt(_NONCE, sealed[head:], context)
    except InvalidTag:
        raise SealError("The box was sealed for another key or context, or was changed.") from None


def _cipher(private: X25519PrivateKey, public: X25519PublicKey, sender: bytes, receiver: bytes) -> AESGCM:
    try:
        shared = private.exchange(public)
    except ValueError:  # a point of low order: the shared secret would be all zeros
        raise SealError("The other side's public key is not usable.") from None
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=sender + receiver, info=_INFO).derive(shared))


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SealError("A sealing key must be base64.") from None
    if len(raw) != _KEY_BYTES:
        raise SealError(f"A sealing key must have {_KEY_BYTES} bytes, this one has {len(raw)}.")
    return raw
