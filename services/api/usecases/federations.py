"""Federations, as far as Magnum ever had them (contract §1.19).

Magnum checks a federation, answers 202, and gives it to a conductor whose every write ends in "not implemented". So
none has ever existed, and nothing is kept here either: a list is empty, and no federation can be found.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid4

from services.api.factory import Context
from services.api.paging import read_page
from services.api.request import Facts
from services.api.usecases import one_cluster
from shared.contracts.http.federations import FederationCreate
from shared.db.repositories.documents import Shelf
from shared.domain.errors import InvalidInput, NotFound

_ZONE: Final = "dns-zone"
_SHELF: Final = Shelf(
    "federations",
    "",
    dict.fromkeys(("id", "uuid", "name", "hostcluster_id", "status", "status_reason", "created_at", "updated_at"), ""),
)
"""For the sort keys alone."""


def check_page(context: Context, facts: Facts, asked: dict[str, str], rule: str) -> None:
    """Whether the page of none could be asked for.

    Raises:
        InvalidInput, NotFound: it could not; there is nothing that a marker could name.
    """
    context.policy.enforce(facts.caller, rule)
    page = read_page(asked, _SHELF, most=context.settings.max_limit)
    if page.marker is not None:
        raise missing(str(page.marker))


async def create(context: Context, facts: Facts, body: FederationCreate) -> UUID:
    """Check a federation, and let it go. The uuid means nothing to anybody.

    Raises:
        InvalidInput: no host cluster, no properties or no zone in them.
        NotFound: no such host cluster.
    """
    context.policy.enforce(facts.caller, "federation:create")
    if body.hostcluster_id is None:
        raise InvalidInput("No hostcluster specified. Please specify a hostcluster_id.", field="hostcluster_id")
    await one_cluster.seen(context, facts.caller, body.hostcluster_id)
    if body.properties is None:
        raise InvalidInput("Please specify a `properties` dict for the federation.", field="properties")
    if _ZONE not in body.properties:
        raise InvalidInput(f"No DNS zone specified. Please specify a `{_ZONE}`.", field="properties")
    return uuid4()


def missing(ident: str) -> NotFound:
    """What every question for one federation ends in."""
    return NotFound(f"Federation {ident[:255]} could not be found.")
