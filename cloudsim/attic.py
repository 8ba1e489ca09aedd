"""Where big texts are kept that resemble one another: the user-data of nodes, nearly the same in every bay.

Each is deflated with an earlier one as the dictionary, so that only what differs takes room.
"""

from __future__ import annotations

import zlib

Packed = tuple[bytes, bytes]

# How many earlier texts are tried as dictionaries; a bay has masters and workers, and there are some drivers.
_BASES = 4
_WINDOW = 32_768
# A text that keeps more than this part of its size resembles no base: it becomes one.
_ALIKE = 0.25


class Attic:
    """Packs and unpacks; a packed text holds on to the base that it needs."""

    def __init__(self) -> None:
        self._bases: list[bytes] = []

    def pack(self, raw: bytes) -> Packed:
        """The text in little room."""
        for base in self._bases:
            packed = _deflate(raw, base)
            if len(packed) <= len(raw) * _ALIKE:
                self._bases.remove(base)
                self._bases.insert(0, base)
                return base, packed
        self._bases = [raw[-_WINDOW:], *self._bases][:_BASES]
        return b"", _deflate(raw, b"")


def unpack(packed: Packed) -> bytes:
    """The text that was packed."""
    base, deflated = packed
    engine = zlib.decompressobj(zdict=base) if base else zlib.decompressobj()
    return engine.decompress(deflated)


def _deflate(raw: bytes, base: bytes) -> bytes:
    engine = zlib.compressobj(level=1, zdict=base) if base else zlib.compressobj(level=1)
    return engine.compress(raw) + engine.flush()
