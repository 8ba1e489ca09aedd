"""The files of a stack. Large ones are packed: a bay's user-data differs from the next bay's by a few lines only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from typing_extensions import override

from cloudsim.attic import Attic, Packed, unpack

_LARGE = 8192  # characters from which a text is packed; templates, which are read all the time, are smaller

_ATTIC = Attic()


class Files(Mapping[str, str]):
    """Texts by name, in little room. Not changed once made."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts: dict[str, str | Packed] = {
            name: _shared(text) if len(text) < _LARGE else _packed(text) for name, text in texts.items()
        }

    def overlaid(self, other: Files) -> Files:
        """These files and, where names are the same, the others."""
        result = Files({})
        result._texts = {**self._texts, **other._texts}
        return result

    def packed(self) -> list[Packed]:
        """The large ones, as they are kept."""
        return [text for text in self._texts.values() if not isinstance(text, str)]

    @override
    def __getitem__(self, name: str) -> str:
        """The text. Raises KeyError."""
        text = self._texts[name]
        return text if isinstance(text, str) else _unpacked(text)

    @override
    def __contains__(self, name: object) -> bool:
        """Whether there is such a file."""
        return name in self._texts

    @override
    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._texts)

    @override
    def __len__(self) -> int:
        """How many there are."""
        return len(self._texts)


@lru_cache(maxsize=256)
def _shared(text: str) -> str:
    """The same object for the same text: every stack of a driver brings the same templates."""
    return text


@lru_cache(maxsize=32)
def _packed(text: str) -> Packed:
    return _ATTIC.pack(text.encode())


@lru_cache(maxsize=16)
def _unpacked(packed: Packed) -> str:
    return unpack(packed).decode()
