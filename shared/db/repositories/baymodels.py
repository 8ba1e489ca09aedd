"""Baymodels: templates for bays. What lists and shows answer comes from `documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import baymodels, bays
from shared.domain.bay import Baymodel

_COLUMNS = (
    baymodels.c.id,
    baymodels.c.project_id,
    baymodels.c.user_id,
    baymodels.c.name,
    baymodels.c.coe,
    baymodels.c.image_id,
    baymodels.c.public,
    baymodels.c.hidden,
    baymodels.c.attributes,
)


async def insert_baymodel(conn: AsyncConnection, model: Baymodel) -> None:
    """Write a new baymodel."""
    await conn.execute(insert(baymodels).values(**_values(model), id=model.id))


async def save(conn: AsyncConnection, model: Baymodel) -> None:
    """Write a changed baymodel; owner and id never change."""
    values = _values(model)
    await conn.execute(update(baymodels).where(baymodels.c.id == model.id).values(**values, updated_at=func.now()))


async def remove(conn: AsyncConnection, baymodel_id: UUID) -> None:
    """Delete it. The caller holds its lock and has seen that no bay was made of it."""
    await conn.execute(delete(baymodels).where(baymodels.c.id == baymodel_id))


async def get(conn: AsyncConnection, baymodel_id: UUID) -> Baymodel | None:
    """The baymodel, None when there is none."""
    return await _one(conn, select(*_COLUMNS).where(baymodels.c.id == baymodel_id))


async def lock(conn: AsyncConnection, baymodel_id: UUID) -> Baymodel | None:
    """The baymodel, held until the transaction ends; nobody can make a bay of it meanwhile."""
    return await _one(conn, select(*_COLUMNS).where(baymodels.c.id == baymodel_id).with_for_update())


async def hold(conn: AsyncConnection, baymodel_id: UUID) -> Baymodel | None:
    """The baymodel, kept from being changed or deleted until the transaction ends; many may hold it at once."""
    return await _one(conn, select(*_COLUMNS).where(baymodels.c.id == baymodel_id).with_for_update(read=True))


async def find(
    conn: AsyncConnection, project_id: str | None, *, baymodel_id: UUID | None = None, name: str = ""
) -> list[Baymodel]:
    """Those of that id, else of that name, which the project may use; `project_id` None = an administrator."""
    which = baymodels.c.id == baymodel_id if baymodel_id is not None else baymodels.c.name == name
    rows = await conn.execute(select(*_COLUMNS).where(and_(which, _visible(project_id))).limit(2))
    return [_baymodel(row) for row in rows.mappings()]


async def in_use(conn: AsyncConnection, baymodel_id: UUID) -> bool:
    """Whether any bay was made of it."""
    return bool(await conn.scalar(select(exists().where(bays.c.baymodel_id == baymodel_id))))


def _visible(project_id: str | None) -> ColumnElement[bool]:
    if project_id is None:
        return baymodels.c.id.is_not(None)
    return or_(baymodels.c.project_id == project_id, and_(baymodels.c.public, ~baymodels.c.hidden))


async def _one(conn: AsyncConnection, query: Select[Any]) -> Baymodel | None:
    row = (await conn.execute(query)).mappings().first()
    return _baymodel(row) if row else None


def _values(model: Baymodel) -> Mapping[str, object]:
    return {
        "project_id": model.project_id,
        "user_id": model.user_id,
        "name": model.name,
        "coe": model.coe,
        "image_id": model.image_id,
        "public": model.public,
        "hidden": bool(model.attributes.get("hidden", False)),
        "attributes": {key: value for key, value in model.attributes.items() if key != "hidden"},
    }


def _baymodel(row: RowMapping) -> Baymodel:
    """`hidden` has a column of its own and is an attribute like the others to everybody else."""
    values = dict(row)
    hidden = values.pop("hidden")
    return Baymodel(**{**values, "attributes": {**values["attributes"], "hidden": hidden}})
