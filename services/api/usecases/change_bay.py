"""A bay is changed or removed (contract §1.10.6, §2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast, get_args

import orjson

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup, resize
from services.api.usecases.growth import fitting
from services.api.usecases.patches import PatchItem, Rules, apply_patch, literal
from services.api.usecases.plan_bay import NO_ZERO
from shared.contracts.http.base import bad
from shared.contracts.http.clusters import Health
from shared.contracts.http.values import LARGEST
from shared.db.repositories import documents, health, operations
from shared.db.repositories.documents import PLACEHOLDER, STACK_KEY, Document
from shared.domain.errors import InvalidInput
from shared.domain.queue import Door

_HEALTH: Final = frozenset({"health_status", "health_status_reason"})
_INTERNAL: Final = frozenset(
    {"created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "api_address", "stack_id"}
    | {"node_addresses", "master_addresses", "cluster_id", "ca_cert_ref", "magnum_cert_ref", "etcd_ca_cert_ref"}
    | {"front_proxy_ca_cert_ref", "trust_id", "trustee_user_id", "trustee_username", "trustee_password"}
)
_DEFAULT_NODES: Final = 1


class _Wanted(NamedTuple):
    """What a patch asks for."""

    node_count: int | None
    """None: as it is."""
    health: tuple[str | None, dict[str, str]] | None
    """Status and reason; None: as they are."""


async def patch(
    context: Context, facts: Facts, face: Face, ident: str, items: Sequence[PatchItem], *, rollback: bool
) -> Document:
    """Change a bay's node_count, or for clusters what is known of its health; the row as it stands then.

    Health starts no operation, so it may be told in any state. A patch that changes nothing starts nothing either.

    Raises:
        ClientFault: with Magnum's sentence; nothing was changed.
        CloudError: the cloud does not tell whether more nodes fit; nothing was changed.
    """

    async def attempt(fits: bool) -> Document:
        return await _patch(context, facts, face, ident, items, rollback=rollback, fits=fits)

    return await fitting(context, facts, attempt)


async def _patch(
    context: Context, facts: Facts, face: Face, ident: str, items: Sequence[PatchItem], *, rollback: bool, fits: bool
) -> Document:
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, face, facts.caller, ident, *_actions(face, items))
        source = await documents.within(conn)
        before = await documents.by_id(source, face.shelf, None, bay.id)
        assert before is not None  # noqa: S101 - locked above
        wanted = _wanted(face, facts.version, before, items)
        if wanted.health is not None:
            await health.tell(conn, bay.id, *wanted.health)
        if wanted.node_count is not None:
            await resize.ask(
                context,
                facts,
                face,
                conn,
                bay,
                node_count=wanted.node_count,
                door=Door.UPDATE,
                rollback=rollback,
                fits=fits,
            )
        if wanted == _Wanted(None, None):
            return before
        after = await documents.by_id(source, face.shelf, None, bay.id)
    context.committed()
    assert after is not None  # noqa: S101 - locked above
    return after


async def delete(context: Context, facts: Facts, face: Face, ident: str, *, force: bool = False) -> None:
    """Ask for the end of a bay; asking again while it goes on changes nothing, but for forcing it.

    Raises:
        Forbidden: the policy says no; forcing is for administrators.
        NotFound, Conflict: see `lookup.find`.
    """
    actions = ("delete", "delete_force") if force else ("delete",)
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, face, facts.caller, ident, *actions, wide="delete")
        await operations.request_delete(conn, bay, facts.caller.user_id, forced=force)
    context.committed()


def _actions(face: Face, items: Sequence[PatchItem]) -> tuple[str, ...]:
    """What the policy is asked about: a healer, who may be allowed nothing else, may tell of health alone."""
    touched = {item.root for item in items} & face.changeable
    if not touched & _HEALTH:
        return ("update",)
    return ("update_health_status",) if touched <= _HEALTH else ("update", "update_health_status")


def _wanted(face: Face, version: int, document: Document, items: Sequence[PatchItem]) -> _Wanted:
    """What the patch asks for, where it differs from what is.

    Raises:
        InvalidInput: it touches anything else, or a value makes no sense.
    """
    current = _attributes(face, document)
    wanted = apply_patch(current, items, Rules(_INTERNAL, frozenset({face.template_field})))
    changed = {name for name, value in wanted.items() if value != current[name]}
    if others := sorted(changed - face.changeable):
        raise InvalidInput(f"cannot change {face.one} property(ies) {', '.join(others)}.", field=others[0])
    counted = any(item.root == "node_count" for item in items)
    count = _node_count(face, version, wanted["node_count"]) if counted else current["node_count"]
    told = (_health(wanted["health_status"]), _reason(wanted["health_status_reason"])) if changed & _HEALTH else None
    return _Wanted(None if count == current["node_count"] else cast("int", count), told)


def _node_count(face: Face, version: int, value: object) -> int:
    """The number of workers. Text is no number here, as in Magnum."""
    if value is None:
        return _DEFAULT_NODES
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad("node_count", value, f"Wrong type. Expected '<class 'int'>', got '{type(value)}'")
    if value < face.fewest_nodes:
        raise bad("node_count", value, f"Value should be greater or equal to {face.fewest_nodes}")
    if value > LARGEST:
        raise bad("node_count", value, f"Value should be lower or equal to {LARGEST}")
    if value == 0 and version < face.zero_nodes_from:
        raise InvalidInput(NO_ZERO, field="node_count")
    return value


def _health(value: object) -> str | None:
    if value is not None and value not in get_args(Health):
        raise bad("health_status", value, f"Value should be one of: {', '.join(get_args(Health))}")
    return None if value is None else str(value)


def _reason(value: object) -> dict[str, str]:
    """A map whose values become text; it may come as text itself, JSON or a Python literal."""
    found = {} if value is None else literal(value)
    if not isinstance(found, dict):
        raise bad("health_status_reason", value, f"Value not a valid dict: {str(value)[:255]}")
    return {str(name): str(item) for name, item in found.items()}


def _attributes(face: Face, document: Document) -> dict[str, object]:
    """What the bay shows, by wire name; faults are shown only sometimes and are no attribute."""
    text = document.text.replace(PLACEHOLDER, "").replace(STACK_KEY, "stack_id")
    return {name: value for name, value in orjson.loads(text).items() if name not in {"links", face.faults_field}}
