"""Another number of masters is asked for, by actions/resize of the masters' nodegroup."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from shared.db.repositories import masters, operations
from shared.domain.bay import Bay
from shared.domain.errors import InvalidInput
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from shared.drivers import registry

UNSUPPORTED = "Resizing the master nodegroup is not supported by this driver."
WITHOUT_TLS = (
    "The masters of a cluster without TLS keep their number: nodes without certificates cannot be told to leave."
)
FIRST_ALONE = "Without master_lb_enabled the cluster's api_address is that of its first master alone."


async def ask(
    context: Context,
    facts: Facts,
    face: Face,
    conn: AsyncConnection,
    bay: Bay,
    *,
    count: int,
    door: Door,
    named: Sequence[str],
) -> None:
    """Accept a change of the number of masters of a bay that `conn` holds.

    Raises:
        InvalidInput: driver, bay, number or state do not allow it.
        Conflict: too many operations wait.
    """
    driver = registry.by_name(bay.driver)
    if OperationKind.RESIZE_MASTERS.value not in driver.kinds:
        raise InvalidInput(UNSUPPORTED, field="nodegroup")
    if bay.spec.get("tls_disabled"):
        raise InvalidInput(WITHOUT_TLS, field="nodegroup")
    if named:
        raise InvalidInput("Masters cannot be named: the youngest one leaves.", field="nodes_to_remove")
    allowed = driver.support.master_counts
    if count not in allowed:
        numbers = ", ".join(map(str, allowed))
        raise InvalidInput(
            f"A cluster of this driver has one of these numbers of masters: {numbers}.", field="node_count"
        )
    alone = count > 1 and not bay.spec.get("master_lb_enabled")
    await operations.ask(
        conn,
        bay,
        kind=OperationKind.RESIZE_MASTERS,
        request={"master_count": count, "was": bay.master_count},
        requested_by=facts.caller.user_id,
        timeout_minutes=bay.create_timeout,
        busy=context.settings.busy,
        door=door,
        word=face.one,
        warnings=[FIRST_ALONE] if alone else [],
    )
    await masters.want(conn, bay.id, count)
