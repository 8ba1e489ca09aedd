"""Messages that the services exchange: one frozen class each, checked before publish and after receive."""

from __future__ import annotations

from shared.contracts.base import Message
from shared.contracts.codec import MalformedMessage, decode, encode
from shared.contracts.envelope import MAX_BODY_BYTES, Envelope

__all__ = ["MAX_BODY_BYTES", "Envelope", "MalformedMessage", "Message", "decode", "encode"]
