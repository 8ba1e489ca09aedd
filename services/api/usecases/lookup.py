"""Finding a row by what the caller called it: a uuid, else a name, which must mean one thing (contract §1.8)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import Face, Resource
from services.api.factory import Context
from shared.db.reader import Source
from shared.db.repositories import baymodels, bays, documents
from shared.db.repositories.documents import Document, Page
from shared.domain.bay import Bay
from shared.domain.errors import Forbidden
from shared.openstack.validate import Caller


def as_uuid(ident: str) -> UUID | None:
    """The uuid that the text looks like; such a text is never taken for a name."""
    try:
        return UUID(ident)
    except ValueError:
        return None


async def find(source: Source, resource: Resource, scope: str | None, ident: str) -> Document:
    """The one row that the caller means; `scope` is what `Policy.scope` says for what is to be done with it.

    Raises:
        NotFound: there is none that the caller may see.
        Conflict: the name means several.
    """
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


async def show(context: Context, resource: Resource, caller: Caller, ident: str) -> Document:
    """The one row that the caller means and may see.

    A policy may let each user see their own rows only. The document does not say whose a row is, so that is asked for
    only if it matters: if the answer for the caller's own row is not the one for nobody's.

    Raises:
        Forbidden: the policy says no.
        NotFound, Conflict: see `find`.
    """
    rule = resource.rule("get")
    own, others = (context.policy.allows(caller, rule, user_id=user) for user in (caller.user_id, ""))
    if not own and not others:
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
    scope = context.policy.scope(caller, resource.rule("get_one_all_projects"))
    found = await find(context.reader, resource, scope, ident)
    if own != others:
        context.policy.enforce(caller, rule, user_id=await _user_of(context, resource, found))
    return found


async def hold(
    context: Context, conn: AsyncConnection, face: Face, caller: Caller, ident: str, *actions: str, wide: str = "update"
) -> Bay:
    """The bay that the caller means and may do `actions` to, held until the transaction ends.

    `wide` is the action whose "…_all_projects" rule lets a caller reach other projects.

    Raises:
        Forbidden: the policy says no.
        NotFound, Conflict: see `find`.
    """
    scope = context.policy.scope(caller, face.rule(f"{wide}_all_projects"))
    found = await find(await documents.within(conn), face, scope, ident)
    bay = await bays.lock(conn, found.id)
    if bay is None:
        raise face.missing(ident)
    for action in actions:
        context.policy.enforce(caller, face.rule(action), project_id=bay.project_id, user_id=bay.user_id)
    return bay


async def _user_of(context: Context, resource: Resource, found: Document) -> str | None:
    """Whose the row is; None for a published template, which is everybody's, and for one that has just gone."""
    async with context.engine.connect() as conn:
        if isinstance(resource, Face):
            bay = await bays.get(conn, found.id)
            return None if bay is None else bay.user_id
        model = await baymodels.get(conn, found.id)
        return None if model is None or model.public else model.user_id


async def list_page(
    source: Source, resource: Resource, scope: str | None, page: Page, *, whole: bool
) -> list[Document]:
    """A page of what the caller sees; for `scope` see `find`.

    Raises:
        NotFound: the marker is none of it.
    """
    if page.marker is not None and await documents.by_id(source, resource.shelf, scope, page.marker) is None:
        raise resource.missing(page.marker)
    return await documents.page(source, resource.shelf, scope, page, whole=whole)
