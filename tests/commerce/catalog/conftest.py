"""A shop per test, its menus kept ready, and a count of what is sent to Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from app.commerce.catalog.snapshot import MenuCache, menus
from app.core.database import RawConnection, ScopedConnection
from app.kernel.work import Runtime
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


@pytest.fixture
def cache(runtime: Runtime) -> MenuCache:
    return menus(runtime)


@pytest.fixture
def statements(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every query sent from now on, through SQLAlchemy or on the driver; no BEGIN, no COMMIT.

    Without the looks at the session and the tenant, which are repeated when what was seen is too
    old, or when somebody rang meanwhile.
    """
    seen: list[str] = []
    fetch, fetchrow = RawConnection.fetch, RawConnection.fetchrow
    fetchval = RawConnection.fetchval

    async def fetched(self: RawConnection, query: str, *args: Any) -> Any:
        seen.append(query)
        return await fetch(self, query, *args)

    async def fetched_row(self: RawConnection, query: str, *args: Any) -> Any:
        if "FROM user_sessions" not in query and "FROM tenants" not in query:
            seen.append(query)
        return await fetchrow(self, query, *args)

    async def fetched_value(self: RawConnection, query: str, *args: Any) -> Any:
        seen.append(query)
        return await fetchval(self, query, *args)

    def executed(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    monkeypatch.setattr(ScopedConnection, "fetch", fetched)
    monkeypatch.setattr(ScopedConnection, "fetchrow", fetched_row)
    monkeypatch.setattr(ScopedConnection, "fetchval", fetched_value)
    engine = runtime.database.tenant_engine.sync_engine
    event.listen(engine, "before_cursor_execute", executed)
    yield seen
    event.remove(engine, "before_cursor_execute", executed)
