"""A bay is changed or removed (contract §1.10.6, §2.2)."""

from __future__ import annotations

from typing import Final

from services.api import policy
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup
from services.api.usecases.create_bay import check_kind
from services.api.usecases.lookup import BAY
from services.api.usecases.patches import PatchItem, Rules, apply_patch
from shared.contracts.http.base import bad
from shared.contracts.http.bays import BayFull
from shared.contracts.http.values import LARGEST
from shared.db.repositories import bays, documents, operations
from shared.db.repositories.documents import BAYS, Document
from shared.domain.bay import Bay
from shared.domain.bay_state import BayEvent, BayStatus
from shared.domain.errors import InvalidInput
from shared.domain.operation import OperationKind
from shared.drivers import registry

RULES: Final = Rules(
    internal=frozenset(
        {"created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "api_address"}
        | {"node_addresses", "master_addresses", "stack_id", "ca_cert_ref", "magnum_cert_ref", "trust_id"}
        | {"trustee_user_id", "trustee_username", "trustee_password"}
    ),
    mandatory=frozenset({"baymodel_id"}),
)
UPDATABLE: Final = frozenset({BayStatus.CREATE_COMPLETE, BayStatus.UPDATE_COMPLETE})
"""Where a PATCH is taken (the column "update" of contract §2.2)."""

_DEFAULT_NODES: Final = 1


async def patch(context: Context, facts: Facts, ident: str, items: list[PatchItem], *, rollback: bool) -> Document:
    """Change a bay, which so far means its node_count; the row as it stands then.

    The status says UPDATE_IN_PROGRESS before the answer leaves, since clients poll for the end of that (§1.22). A
    patch that changes nothing starts nothing, in any state.
    """
    async with context.engine.begin() as conn:
        source = await documents.within(conn)
        row_id = (await lookup.find(source, BAY, facts.caller, ident)).id
        policy.enforce(facts.caller, "bay:update")
        bay = await bays.lock(conn, row_id)
        before = await documents.by_id(source, BAYS, None, row_id)
        if bay is None or before is None:
            raise BAY.missing(ident)
        node_count = _wanted_nodes(before, bay, items)
        if node_count == bay.node_count:
            return before
        if bay.status not in UPDATABLE:
            raise InvalidInput(f'Updating a bay when status is "{bay.status.value}" is not supported.')
        check_kind(registry.by_name(bay.driver), OperationKind.RESIZE)
        await bays.apply_event(conn, row_id, BayEvent.UPDATE_ASKED)
        await bays.set_counts(conn, row_id, node_count=node_count)
        await operations.enqueue(
            conn,
            bay_id=row_id,
            kind=OperationKind.RESIZE,
            request={"node_count": node_count, "was": bay.node_count, "rollback": rollback},
            requested_by=facts.caller.user_id,
            timeout_minutes=bay.create_timeout,
        )
        after = await documents.by_id(source, BAYS, None, row_id)
    context.committed()
    assert after is not None  # noqa: S101 - locked above
    return after


async def delete(context: Context, facts: Facts, ident: str) -> None:
    """Ask for the end of a bay; asking again while it goes on changes nothing."""
    async with context.engine.begin() as conn:
        row_id = (await lookup.find(await documents.within(conn), BAY, facts.caller, ident)).id
        policy.enforce(facts.caller, "bay:delete")
        bay = await bays.lock(conn, row_id)
        if bay is None:
            raise BAY.missing(ident)
        await operations.request_delete(conn, bay, facts.caller.user_id)
    context.committed()


def _wanted_nodes(document: Document, bay: Bay, items: list[PatchItem]) -> int:
    """The node_count that the patch asks for.

    Raises:
        InvalidInput: it touches anything else, or the number is none. Text is no number here, as in Magnum.
    """
    current = _attributes(document)
    wanted = apply_patch(current, items, RULES)
    others = sorted(name for name, value in wanted.items() if name != "node_count" and value != current[name])
    if others:
        raise InvalidInput(f"cannot change bay property(ies) {', '.join(others)}.", field=others[0])
    value = wanted["node_count"]
    if value is None:
        return _DEFAULT_NODES
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad("node_count", value, f"Wrong type. Expected '<class 'int'>', got '{type(value)}'")
    if value < 1:
        raise bad("node_count", value, "Value should be greater or equal to 1")
    if value > LARGEST:
        raise bad("node_count", value, f"Value should be lower or equal to {LARGEST}")
    return value


def _attributes(document: Document) -> dict[str, object]:
    """What the bay shows, by wire name; faults are shown only sometimes and are no attribute."""
    shown = BayFull.model_validate_json(document.text.encode().replace(b"\x01", b""))
    return shown.model_dump(exclude={"bay_faults", "links"})
