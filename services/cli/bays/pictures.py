"""Bays and their operations as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.table import Table

from services.cli.output import facts, rows
from services.cli.view import duration
from shared.contracts.http.bays import BayBrief, BayFull, OperationOut, OperationStepOut


def bay_table(bays: Iterable[BayBrief]) -> Table:
    """A line for each bay."""
    return rows(
        bays,
        {
            "UUID": lambda bay: bay.uuid,
            "NAME": lambda bay: bay.name,
            "STATUS": lambda bay: bay.status,
            "MASTERS": lambda bay: bay.master_count,
            "NODES": lambda bay: bay.node_count,
        },
    )


def bay_facts(bay: BayFull) -> Table:
    """One bay: what people look for first, then the rest in the API's own order. What is not said has no line."""
    told = bay.model_dump(mode="json", exclude={"links"})
    first = ("name", "uuid", "status", "status_reason", "api_address")
    ordered = {name: told.pop(name) for name in first} | told
    return facts({name: value for name, value in ordered.items() if value not in (None, "", [], {})})


def operation_table(operations: Iterable[OperationOut], *, steps: bool) -> Table:
    """A line for each operation, newest first; with `steps` also one for each of its steps."""
    lines: list[OperationOut | OperationStepOut] = []
    for operation in operations:
        lines += [operation, *(operation.steps if steps else ())]
    return rows(
        lines,
        {
            "WHAT": lambda one: one.kind if isinstance(one, OperationOut) else f"  {one.sentence}",
            "STATE": lambda one: one.state,
            "SINCE": lambda one: moment(one.started_at or getattr(one, "created_at", None)),
            "SECONDS": _seconds,
            "WHY": lambda one: one.error if isinstance(one, OperationOut) else one.note,
        },
    )


def moment(text: str | None) -> str:
    """A time of the API's as people read it, in UTC."""
    return "" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def progress(before: Sequence[OperationStepOut], operation: OperationOut) -> list[OperationStepOut]:
    """The steps that began or ended since."""
    known = {step.name: (step.state, step.attempt, step.note) for step in before}
    return [
        step
        for step in operation.steps
        if step.state != "pending" and known.get(step.name) != (step.state, step.attempt, step.note)
    ]


def _seconds(one: OperationOut | OperationStepOut) -> str:
    found = duration(one)
    return "" if found is None else f"{found:.1f}"
