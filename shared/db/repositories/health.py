"""What is told of a bay's health, by whom: the one place where the parts are put together.

`health_status_reason` has keys of several: `cloud.*` of the provisioner's sweep (drift.py), `certificates.*` of the
authority (expiry.py), `healing` of the scaler; all others are of whoever tells of the engine, which is the scaler or
the owner's own healer. `health_status` is UNHEALTHY while the cloud's side is ill, and else what was told of the engine
(`coe_health`), which so comes back when the cloud's trouble is over.

What an owner's healer tells by PATCH holds for `HELD`: until then the scaler neither says otherwise nor heals, since
who watches a bay himself also repairs it. Then, if he has not told again, the scaler's view counts.

Whoever calls these holds the bays' locks. What is told already is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays
from shared.domain.health import Conclusion

CLOUD: Final = "cloud."
"""What the keys of the provisioner's sweep begin with."""
CERTIFICATES: Final = "certificates."
"""What the keys of the authority begin with."""
HEALING: Final = "healing"
"""The scaler's key for why nothing is healed."""
HELD: Final = timedelta(minutes=10)
"""For how long an owner's word counts."""


@dataclass(frozen=True, slots=True)
class _Told:
    """The parts, as a bay's row has them."""

    engine: str | None
    ill: bool
    reason: Mapping[str, str]

    @property
    def status(self) -> str | None:
        """What people see."""
        return "UNHEALTHY" if self.ill else self.engine


_Change = Callable[[_Told], _Told]


async def conclude(conn: AsyncConnection, found: Mapping[UUID, Conclusion]) -> list[UUID]:
    """Tell how the engines of these bays are; of which of them that is something new."""
    return await _write(conn, {bay: _engine(one.status, one.reason) for bay, one in found.items()})


async def tell(conn: AsyncConnection, bay_id: UUID, status: str | None, reason: Mapping[str, str]) -> None:
    """What the bay's owner, or his healer, tells of it, which holds for `HELD`; None: nobody knows.

    What the sweep and the authority tell stays, and so does the UNHEALTHY of the former.
    """
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(health_held_until=func.now() + HELD))
    await _write(conn, {bay_id: _engine(status, reason)})


async def tell_cloud(conn: AsyncConnection, bay_id: UUID, found: Mapping[str, str], *, ill: bool) -> None:
    """Put `found` (keys begin with `CLOUD`) in the place of what the sweep told before."""

    def change(was: _Told) -> _Told:
        others = {key: value for key, value in was.reason.items() if not key.startswith(CLOUD)}
        return replace(was, ill=ill, reason={**others, **found})

    await _write(conn, {bay_id: change})


async def forget_server(conn: AsyncConnection, bay_id: UUID, name: str) -> None:
    """What the sweep told of this server counts no more, since something was done about it; the next one looks anew."""

    def change(was: _Told) -> _Told:
        left = {key: value for key, value in was.reason.items() if key != server_key(name)}
        return replace(was, ill=was.ill and any(key.startswith(CLOUD) for key in left), reason=left)

    await _write(conn, {bay_id: change})


async def forget(conn: AsyncConnection, bay_id: UUID) -> None:
    """The bay is lost, and with it all that was told of its engine and its servers."""

    def change(was: _Told) -> _Told:
        left = {key: value for key, value in was.reason.items() if key.startswith(CERTIFICATES)}
        return replace(was, engine=None, ill=False, reason=left)

    await _write(conn, {bay_id: change})


async def tell_healing(conn: AsyncConnection, bay_id: UUID, why: str | None) -> None:
    """Say why nothing is healed in the bay; None: nothing keeps it."""

    def change(was: _Told) -> _Told:
        others = {key: value for key, value in was.reason.items() if key != HEALING}
        return replace(was, reason=others | ({HEALING: why} if why else {}))

    await _write(conn, {bay_id: change})


def server_key(name: str) -> str:
    """The sweep's key of a server."""
    return f"{CLOUD}server.{name}"


def _engine(status: str | None, said: Mapping[str, str]) -> _Change:
    def change(was: _Told) -> _Told:
        others = {key: value for key, value in was.reason.items() if _others(key)}
        return replace(was, engine=status, reason={key: said[key] for key in said if not _others(key)} | others)

    return change


def _others(key: str) -> bool:
    return key == HEALING or key.startswith((CLOUD, CERTIFICATES))


async def _write(conn: AsyncConnection, changes: Mapping[UUID, _Change]) -> list[UUID]:
    """Change these bays' rows; those on which there was something to write."""
    table = bays.c
    query = select(table.id, table.coe_health, table.cloud_ill, table.health_status, table.health_status_reason)
    changed: list[UUID] = []
    for row in await conn.execute(query.where(table.id.in_(changes))):
        was = _Told(row.coe_health, row.cloud_ill, row.health_status_reason or {})
        now = changes[row.id](was)
        if now == was and now.status == row.health_status:
            continue
        changed.append(row.id)
        # Only what differs: each service may write its own part alone.
        values = {"coe_health": now.engine} if now.engine != was.engine else {}
        ill = {"cloud_ill": now.ill} if now.ill != was.ill else {}
        shown = {"health_status": now.status, "health_status_reason": dict(now.reason), "updated_at": func.now()}
        await conn.execute(update(bays).where(table.id == row.id).values(**values, **ill, **shown))
    return changed
