"""Every project's operations, for administrators: above all those that do not go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from services.api.factory import Context
from services.api.paging import read_page
from services.api.request import Facts, flag
from shared.contracts.http.base import bad
from shared.db.repositories import all_operations
from shared.db.repositories.all_operations import Wanted
from shared.db.repositories.documents import Shelf
from shared.domain.errors import NotFound
from shared.domain.operation import OperationKind, OperationState, Service

FILTERS: Final = ("state", "kind", "service", "project_id", "stuck")
_SHELF: Final = Shelf("operations", "", {"id": ""})
_WORDS: Final[Mapping[str, type[StrEnum]]] = {"state": OperationState, "kind": OperationKind, "service": Service}


@dataclass(frozen=True)
class OperationPage:
    """A page of operations, and the query of the next one; None: this one is not full."""

    operations: list[dict[str, object]]
    query: str | None


async def list_page(context: Context, facts: Facts, asked: Mapping[str, str]) -> OperationPage:
    """The operations that the filters let through, newest first unless `sort_dir` is asc.

    Raises:
        Forbidden: it is for administrators.
        InvalidInput, NotFound: a filter knows no such word, or the page asked for is none.
    """
    context.policy.enforce(facts.caller, "operation:get_all")
    filters = {name: asked[name] for name in FILTERS if name in asked}
    wanted = _wanted(filters)
    paging = {"sort_dir": "desc", **{name: asked[name] for name in asked if name not in FILTERS}}
    page = read_page(paging, _SHELF, most=context.settings.max_limit)
    async with context.engine.connect() as conn:
        found = await all_operations.page(
            conn,
            wanted,
            context.settings.timing,
            limit=page.limit,
            marker=page.marker,
            oldest=not page.descending,
        )
    if found is None:
        raise NotFound(f"Operation {page.marker} could not be found.")
    if len(found) < page.limit:
        return OperationPage(found, None)
    following = {**filters, "sort_dir": paging["sort_dir"], "limit": page.limit, "marker": found[-1]["id"]}
    return OperationPage(found, urlencode(following))


def _wanted(filters: Mapping[str, str]) -> Wanted:
    for name, words in _WORDS.items():
        if name in filters and filters[name] not in set(words):
            raise bad(name, filters[name], f"Value should be one of: {', '.join(words)}")
    told = {name: filters.get(name) for name in ("state", "kind", "service", "project_id")}
    return Wanted(**told, stuck=flag(filters, "stuck"))
