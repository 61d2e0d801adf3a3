"""Queries over the tenant's connections."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.connections.models import Connection
from app.kernel.connections.problems import ConnectionNotFound


class ConnectionRepository(Repository[Connection]):
    model = Connection
    missing = ConnectionNotFound

    async def listed(self) -> Sequence[Connection]:
        return await self.all(self.query().order_by(Connection.provider))

    async def by_provider(self, provider: str, *, lock: bool = False) -> Connection | None:
        statement = self.query().where(Connection.provider == provider)
        return await self.one_or_none(statement.with_for_update() if lock else statement)

    async def upsert(
        self, provider: str, config: dict[str, str], secret: str, is_enabled: bool
    ) -> None:
        """Insert or replace, in one statement: two who connect at once make one connection."""
        values = {"config": config, "secret": secret, "is_enabled": is_enabled}
        await self.session.execute(
            insert(Connection)
            .values(id=new_id(), provider=provider, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "provider"], set_=values)
        )
