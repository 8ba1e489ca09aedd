"""Alembic's entry point: it runs on the connection that `shared.db.migrate` opened."""

from __future__ import annotations

from alembic import context

from shared.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=False,
    # `bus_messages` belongs to the Postgres bus, which speaks asyncpg and has no SQLAlchemy table.
    include_name=lambda name, kind, _parents: not (kind == "table" and name == "bus_messages"),
)
with context.begin_transaction():
    context.run_migrations()
