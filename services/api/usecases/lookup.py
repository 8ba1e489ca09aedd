"""Finding a row by what the caller called it: a uuid, else a name, which must mean one thing (contract §1.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.api import policy
from shared.db.reader import Source
from shared.db.repositories import documents
from shared.db.repositories.documents import BAYMODELS, BAYS, Document, Page, Shelf
from shared.domain.errors import Conflict, NotFound
from shared.openstack.validate import Caller


@dataclass(frozen=True)
class Resource:
    """A kind of row: where it lies and what it is called. Baymodels have the words of contract §1.12."""

    shelf: Shelf
    argument: str
    word: str
    many: str
    one: str

    def missing(self, ident: object) -> NotFound:
        """The error for none."""
        return NotFound(f"{self.word} {str(ident)[:255]} could not be found.")

    def ambiguous(self) -> Conflict:
        """The error for several."""
        return Conflict(f"Multiple {self.many} exist with same name. Please use the {self.one} uuid instead.")


BAY: Final = Resource(BAYS, "bay", "Bay", "bays", "bay")
BAYMODEL: Final = Resource(BAYMODELS, "baymodel", "ClusterTemplate", "ClusterTemplates", "ClusterTemplate")


def as_uuid(ident: str) -> UUID | None:
    """The uuid that the text looks like; such a text is never taken for a name."""
    try:
        return UUID(ident)
    except ValueError:
        return None


async def find(source: Source, resource: Resource, caller: Caller, ident: str) -> Document:
    """The one row that the caller means.

    Raises:
        NotFound: there is none that the caller may see.
        Conflict: the name means several.
    """
    scope = policy.scope(caller)
    row_id = as_uuid(ident)
    if row_id is not None:
        found = await documents.by_id(source, resource.shelf, scope, row_id)
        if found is None:
            raise resource.missing(ident)
        return found
    named = await documents.by_name(source, resource.shelf, scope, ident)
    if len(named) > 1:
        raise resource.ambiguous()
    if not named:
        raise resource.missing(ident)
    return named[0]


async def list_page(
    source: Source, resource: Resource, caller: Caller, page: Page, *, column: str = "doc"
) -> list[Document]:
    """A page of what the caller sees.

    Raises:
        NotFound: the marker is none of it.
    """
    scope = policy.scope(caller)
    if page.marker is not None and await documents.by_id(source, resource.shelf, scope, page.marker) is None:
        raise resource.missing(page.marker)
    return await documents.page(source, resource.shelf, scope, page, column=column)
