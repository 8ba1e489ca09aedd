"""Where big texts are kept that resemble one another: the user-data of nodes, nearly the same in every bay.

Each is deflated with an earlier one as the dictionary, so that only what differs takes room.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

# What the text was deflated with (an earlier text, itself packed or not), and the outcome.
Packed = tuple["bytes | Packed", bytes]

# How many earlier texts are tried as dictionaries; a bay has masters and workers, and there are some drivers.
_BASES = 4
# Deflate looks back 32 KiB and no farther, so a text is packed in pieces, each with the same part of the base and this
# much around it: what was put in before a piece has moved the rest.
_PIECE, _AROUND = 16_384, 2_048
_LEVEL = 6
# A text that keeps more than this part of its size resembles no base: it becomes one. With less than the second part
# no better base is looked for.
_ALIKE, _VERY_ALIKE = 0.25, 0.02


class Attic:
    """Packs and unpacks; a packed text holds on to the base that it needs."""

    def __init__(self) -> None:
        self._bases: list[bytes] = []

    def pack(self, raw: bytes, like: Sequence[Packed] = ()) -> Packed:
        """The text in little room; `like` are texts, packed before, that it was perhaps made from."""
        best: Packed | None = None
        candidates: list[bytes | Packed] = [*like, *self._bases]
        for base in candidates:
            deflated = _deflate(raw, base if isinstance(base, bytes) else unpack(base))
            if best is None or len(deflated) < len(best[1]):
                best = base, deflated
            if len(best[1]) <= len(raw) * _VERY_ALIKE:
                break
        if best is None or len(best[1]) > len(raw) * _ALIKE:
            self._bases = [raw, *self._bases][:_BASES]
            return b"", _deflate(raw, b"")
        self._bases.sort(key=lambda base: base is not best[0])  # what was of use last is dropped last
        return best


def unpack(packed: Packed) -> bytes:
    """The text that was packed."""
    base, rest = packed
    base = base if isinstance(base, bytes) else unpack(base)
    pieces: list[bytes] = []
    while rest:
        engine = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_part(base, len(pieces)))
        pieces.append(engine.decompress(rest))
        rest = engine.unused_data
    return b"".join(pieces)


def _deflate(raw: bytes, base: bytes) -> bytes:
    packed = b""
    for piece, start in enumerate(range(0, len(raw), _PIECE)):
        engine = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS, zdict=_part(base, piece))
        packed += engine.compress(raw[start : start + _PIECE]) + engine.flush()
    return packed


def _part(base: bytes, piece: int) -> bytes:
    """The part of the base that a piece of the text is packed with."""
    start = piece * _PIECE
    return base[max(0, start - _AROUND) : start + _PIECE + _AROUND]
