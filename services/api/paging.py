"""Pages of a list: marker, limit, sort_key, sort_dir, and the address of the next page (contract §1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from shared.contracts.http.base import bad
from shared.db.repositories.documents import Document, Page, Shelf
from shared.domain.errors import InvalidInput

KEYS: Final = ("marker", "limit", "sort_key", "sort_dir")


def read_page(query: Mapping[str, str], shelf: Shelf, *, most: int) -> Page:
    """What the query asks for; more than `most` is cut silently.

    Raises:
        InvalidInput: with Magnum's sentence.
    """
    sort_key = query.get("sort_key", "id")
    if sort_key not in shelf.sort_keys:
        raise InvalidInput(f'The sort_key value "{sort_key[:255]}" is an invalid field for sorting', field="sort_key")
    direction = query.get("sort_dir", "asc")
    if direction not in ("asc", "desc"):
        raise InvalidInput(
            f"Invalid sort direction: {direction[:255]}. Acceptable values are 'asc' or 'desc'", field="sort_dir"
        )
    return Page(_limit(query.get("limit"), most), _marker(query.get("marker")), sort_key, direction == "desc")


def next_url(base_url: str, path: str, page: Page, shown: Sequence[Document]) -> str | None:
    """The address of the next page, None when this one is not full."""
    if len(shown) < page.limit:
        return None
    direction = "desc" if page.descending else "asc"
    return f"{base_url}{path}?sort_key={page.sort_key}&sort_dir={direction}&limit={page.limit}&marker={shown[-1].id}"


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return most
    try:
        limit = int(text)
    except ValueError:
        why = f"unable to convert to int. Error: invalid literal for int() with base 10: {text[:50]!r}"
        raise bad("limit", text, why) from None
    if limit <= 0:
        raise InvalidInput("Limit must be positive", field="limit")
    return min(limit, most)


def _marker(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise bad("marker", text, f"Expected a uuid but received {text[:255]}.") from None
