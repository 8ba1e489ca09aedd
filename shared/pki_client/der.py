"""A writer of ASN.1 values in DER (ITU-T X.690), as much of it as a CMS message needs."""

from __future__ import annotations

_INTEGER, _OCTETS, _OBJECT_ID, _SEQUENCE, _CONTEXT = 0x02, 0x04, 0x06, 0x30, 0xA0


def tagged(tag: int, *parts: bytes) -> bytes:
    """The parts as one value under a tag of one byte."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tagged(_SEQUENCE, *parts)


def context(number: int, *parts: bytes) -> bytes:
    """A constructed value of the context's own tag."""
    return tagged(_CONTEXT | number, *parts)


def octets(content: bytes) -> bytes:
    """OCTET STRING."""
    return tagged(_OCTETS, content)


def integer(value: int) -> bytes:
    """INTEGER, not negative; a leading zero byte where the first bit would make it so."""
    return tagged(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def object_id(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *others = map(int, dotted.split("."))
    return tagged(_OBJECT_ID, b"".join(map(_base128, (40 * first + second, *others))))


def _base128(value: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have the eighth bit set."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
