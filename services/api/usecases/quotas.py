"""Quotas: how many bays a project may have (contract §1.18). Creating a bay looks at `quotas.limit_of`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from services.api.factory import Context
from services.api.paging import read_page
from services.api.request import Facts
from shared.contracts.http.base import bad
from shared.contracts.http.quotas import QuotaChange, QuotaCreate
from shared.contracts.http.values import boolean
from shared.db.repositories import quotas
from shared.db.repositories.documents import Shelf
from shared.db.repositories.quotas import BAYS, LARGEST_ID, SORT_KEYS, Quota
from shared.domain.errors import CloudError, Conflict, Forbidden, InvalidInput, NotFound

_SHELF = Shelf("quotas", "", dict.fromkeys(SORT_KEYS, ""))
"""For the sort keys alone: quotas are few and keep no documents."""


@dataclass(frozen=True)
class QuotaPage:
    """A page of quotas, and what of the query the next page repeats."""

    quotas: list[Quota]
    full: bool
    query: str


async def list_page(context: Context, facts: Facts, asked: Mapping[str, str]) -> QuotaPage:
    """The quota of the caller's own project, or with `all_tenants` everybody's.

    Raises:
        Forbidden: it is for administrators.
        InvalidInput, NotFound: the page asked for is none.
    """
    context.policy.enforce(facts.caller, "quota:get_all")
    everybody = _flag(asked.get("all_tenants"))
    page = read_page({key: asked[key] for key in asked if key != "marker"}, _SHELF, most=context.settings.max_limit)
    marker = _marker(asked.get("marker"))
    async with context.engine.connect() as conn:
        shown = await quotas.page(
            conn,
            None if everybody and facts.caller.is_admin else facts.caller.project_id,
            limit=page.limit,
            marker=marker,
            sort_key=page.sort_key,
            descending=page.descending,
        )
    if shown is None:
        raise NotFound(f"Quota could not be found: quota id {marker}.")
    direction = "desc" if page.descending else "asc"
    query = f"sort_key={page.sort_key}&sort_dir={direction}&limit={page.limit}"
    if shown:
        query += f"&marker={shown[-1].id}"
    return QuotaPage(shown, len(shown) == page.limit, query + ("&all_tenants=True" if everybody else ""))


async def show(context: Context, facts: Facts, project_id: str, resource: str) -> dict[str, object]:
    """The quota of a project; where nobody has set one, the service's default, without id.

    Raises:
        Forbidden: it is another project's.
        NotFound: no such resource.
    """
    context.policy.enforce(facts.caller, "quota:get")
    if not facts.caller.is_admin and project_id != facts.caller.project_id:
        raise Forbidden("Not authorized.")
    _check_resource(project_id, resource)
    async with context.engine.connect() as conn:
        found = await quotas.get(conn, project_id, resource)
    if found is not None:
        return asdict(found)
    return {"project_id": project_id, "resource": BAYS, "hard_limit": context.settings.bays_per_project}


async def create(context: Context, facts: Facts, body: QuotaCreate) -> Quota:
    """Set a project's quota.

    Raises:
        NotFound: Keystone knows no such project.
        Conflict: the project has one; of two writers at once, one gets this.
    """
    context.policy.enforce(facts.caller, "quota:create")
    if body.project_id is None:
        raise InvalidInput("Must provide a valid project ID.", field="project_id")
    if not await _is_project(context, facts, body.project_id):
        raise NotFound(f"The project_id {body.project_id} could not be found.", field="project_id")
    async with context.engine.begin() as conn:
        made = await quotas.add(conn, body.project_id, body.resource, body.hard_limit)
    if made is None:
        raise Conflict(f"Quota for project {body.project_id} already exists for resource {body.resource}.")
    return made


async def change(context: Context, facts: Facts, project_id: str, resource: str, body: QuotaChange) -> Quota:
    """Set another limit. One below what the project has stops only further bays.

    Raises:
        NotFound: nobody has set this quota.
    """
    context.policy.enforce(facts.caller, "quota:update")
    _check_resource(project_id, resource)
    async with context.engine.begin() as conn:
        changed = await quotas.change(conn, project_id, resource, body.hard_limit)
    if changed is None:
        raise _missing(project_id, resource)
    return changed


async def delete(context: Context, facts: Facts, project_id: str, resource: str) -> None:
    """Go back to the default.

    Raises:
        NotFound: nobody has set this quota.
    """
    context.policy.enforce(facts.caller, "quota:delete")
    _check_resource(project_id, resource)
    async with context.engine.begin() as conn:
        if not await quotas.remove(conn, project_id, resource):
            raise _missing(project_id, resource)


async def _is_project(context: Context, facts: Facts, project_id: str) -> bool:
    """Whether Keystone knows it, asked as the caller, who is an administrator unless the policy file says otherwise.

    Then our service user is asked, who may see more.
    """
    try:
        return await context.cloud_of(facts.caller, facts.token).keystone.project(project_id) is not None
    except CloudError as error:
        if error.status not in (401, 403):
            raise
    return await context.cloud.for_service().keystone.project(project_id) is not None


def _check_resource(project_id: str, resource: str) -> None:
    if resource != BAYS:
        raise _missing(project_id, resource)


def _missing(project_id: str, resource: str) -> NotFound:
    return NotFound(f"Quota could not be found: project_id {project_id[:255]} resource {resource[:255]}.")


def _flag(text: str | None) -> bool:
    try:
        return text is not None and boolean(text)
    except ValueError as error:
        raise bad("all_tenants", text, str(error)) from None


def _marker(text: str | None) -> int | None:
    """A row's number: quotas have no uuid."""
    if text is None:
        return None
    try:
        return max(0, min(int(text), LARGEST_ID))
    except ValueError:
        why = f"unable to convert to int. Error: invalid literal for int() with base 10: {text[:50]!r}"
        raise bad("marker", text, why) from None
