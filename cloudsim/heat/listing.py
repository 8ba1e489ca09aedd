"""`GET /stacks`: filters, order, pages."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request

from cloudsim.heat.access import Access, flag
from cloudsim.heat.errors import BadRequest
from cloudsim.heat.stack import Stack

_SORT_KEYS = {"stack_name", "stack_status", "creation_time", "updated_time"}


def listed(may: Access, request: Request) -> tuple[list[Stack], int]:
    """The stacks of one page, and how many there are without paging."""
    query = request.query_params
    found = [stack for stack in _candidates(may, request) if _matches(stack, request)]
    _sort(found, query.get("sort_keys", "creation_time"), query.get("sort_dir", "desc"))
    total = len(found)
    if marker := query.get("marker"):
        ids = [stack.id for stack in found]
        found = found[ids.index(marker) + 1 :] if marker in ids else []
    if limit := query.get("limit"):
        if not limit.isdigit():
            raise BadRequest("Only integer is acceptable by 'limit'.")
        found = found[: int(limit)]
    return found, total


def _candidates(may: Access, request: Request) -> Iterable[Stack]:
    engine = may.engine
    everywhere = flag(request, "global_tenant")
    if flag(request, "show_nested"):
        living: Iterable[Stack] = engine.stacks.values()
    elif everywhere:
        living = (engine.stacks[stack_id] for stack_id in engine.names.values())
    else:
        living = (stack for stack in engine.roots_of(may.project_id))
    stacks = [*living, *(engine.deleted.values() if flag(request, "show_deleted") else ())]
    return stacks if everywhere else [stack for stack in stacks if stack.project_id == may.project_id]


def _matches(stack: Stack, request: Request) -> bool:
    query = request.query_params
    checks = {
        "name": {stack.name},
        "id": {stack.id},
        "status": {stack.status, stack.full_status},
        "action": {stack.action},
        "owner": {stack.user_name},
        "username": {stack.user_name},
    }
    for name, values in checks.items():
        wanted = query.getlist(name)
        if wanted and not values & set(wanted):
            return False
    tags = set(stack.root.tags)
    return (
        _tags(query.get("tags")) <= tags
        and ("tags_any" not in _names(request) or bool(_tags(_named(request, "tags_any")) & tags))
        and ("not_tags" not in _names(request) or not _tags(_named(request, "not_tags")) <= tags)
        and ("not_tags_any" not in _names(request) or not _tags(_named(request, "not_tags_any")) & tags)
    )


def _names(request: Request) -> set[str]:
    """Query names; clients write both `tags-any` and `tags_any`."""
    return {name.replace("-", "_") for name in request.query_params}


def _named(request: Request, name: str) -> str:
    query = request.query_params
    return query.get(name) or query.get(name.replace("_", "-")) or ""


def _tags(text: str | None) -> set[str]:
    return {tag for tag in (text or "").split(",") if tag}


def _sort(stacks: list[Stack], key: str, direction: str) -> None:
    if key not in _SORT_KEYS or direction not in {"asc", "desc"}:
        raise BadRequest(f"Unrecognized value for sort_keys or sort_dir: {key}, {direction}")
    keys = {
        "stack_name": lambda stack: stack.name,
        "stack_status": lambda stack: stack.full_status,
        "creation_time": lambda stack: stack.created_at,
        "updated_time": lambda stack: stack.updated_at or 0,
    }
    stacks.sort(key=keys[key], reverse=direction == "desc")
