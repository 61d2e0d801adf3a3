"""Runs migrations one by one, under an advisory lock, with short lock waits.

Two deployments that migrate at once queue behind each other; a migration that cannot get its
table lock in five seconds fails instead of stopping the shop.
"""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.ddl import MIGRATION_LOCK
from app.core.settings import settings
from app.tables import METADATA, SYSTEM_OBJECTS


def _ours(obj: object, name: str | None, type_: str, reflected: bool, other: object) -> bool:
    return not (type_ == "table" and reflected and name in SYSTEM_OBJECTS)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        include_object=_ours,
        compare_type=True,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _online() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url") or settings().database_url
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        connect_args={"server_settings": {"lock_timeout": "5000", "statement_timeout": "600000"}},
    )
    async with engine.connect() as guard, engine.connect() as connection:
        # A session lock on a connection of its own: each migration commits by itself.
        await guard.execute(text("SET lock_timeout = 0"))
        await guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_online())
