"""Running the SQL files of a migration."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

_SQL = Path(__file__).parent / "sql"


def run_sql(*names: str) -> None:
    """Run these files of `migrations/sql` in order, in the migration's transaction.

    They hold several statements each, which asyncpg takes only outside a prepared statement, so they go to the
    driver's own connection.
    """
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("The migration has no connection.")
    for name in names:
        await_only(driver.execute((_SQL / name).read_text()))
