"""Queries over the tenant's connections, and over consents under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select, update

from app.core.repository import Repository
from app.kernel.connections.models import Connection, OAuthState
from app.kernel.connections.problems import (
    ConnectionNameTaken,
    ConnectionNotFound,
    ConsentNeedsSession,
)

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('connections:' || app_tenant_id(), 0))"


class ConnectionRepository(Repository[Connection]):
    model = Connection
    missing = ConnectionNotFound
    conflicts: ClassVar = {"connections_tenant_id_provider_name_key": ConnectionNameTaken}

    async def lock(self) -> None:
        """Nobody else adds, removes or prefers a connection of this tenant until the commit."""
        await (await self.raw()).execute(_LOCK)

    async def listed(self, providers: Collection[str] | None = None) -> Sequence[Connection]:
        """By provider and age; those of ``providers`` alone when given."""
        statement = self.query().order_by(Connection.provider, Connection.id)
        if providers is not None:
            statement = statement.where(Connection.provider.in_(providers))
        return await self.all(statement)

    async def count(self) -> int:
        return await self.session.scalar(select(func.count()).select_from(Connection)) or 0

    async def of(self, provider: str) -> Connection | None:
        """The one of this provider that stands for all: the default, else the oldest."""
        return await self.one_or_none(
            self._preferred().where(Connection.provider == provider).limit(1)
        )

    async def enabled(self, provider: str) -> Connection | None:
        """The one that serves a provider: the enabled default, else the oldest enabled."""
        statement = self._preferred().where(Connection.provider == provider, Connection.is_enabled)
        return await self.one_or_none(statement.limit(1))

    async def default(self, purpose: str) -> Connection | None:
        """The enabled connection that serves a purpose: the default, else the oldest."""
        statement = self._preferred().where(Connection.purpose == purpose, Connection.is_enabled)
        return await self.one_or_none(statement.limit(1))

    async def of_account(self, provider: str, account_id: str) -> Connection | None:
        return await self.one_or_none(
            self.query().where(Connection.provider == provider, Connection.account_id == account_id)
        )

    async def has_default(self, purpose: str) -> bool:
        found = select(Connection.id).where(Connection.purpose == purpose, Connection.is_default)
        return await self.session.scalar(found) is not None

    async def prefer_none(self, purpose: str) -> None:
        """Take the default of a purpose away."""
        await self.session.execute(
            update(Connection)
            .where(Connection.purpose == purpose, Connection.is_default)
            .values(is_default=False)
        )

    async def claim_refresh(
        self, connection_id: UUID, secret: str, at: datetime, life: timedelta
    ) -> bool:
        """Whether the renewal of the tokens in ``secret`` is ours until ``at + life``.

        One caller gets it; nobody does once they were renewed.
        """
        taken = await self.session.execute(
            update(Connection)
            .where(
                Connection.id == connection_id,
                Connection.secret == secret,
                or_(Connection.refresh_until.is_(None), Connection.refresh_until < at),
            )
            .values(refresh_until=at + life)
            .returning(Connection.id)
        )
        return taken.scalar_one_or_none() is not None

    def _preferred(self) -> Select[Connection]:
        return self.query().order_by(Connection.is_default.desc(), Connection.id)


class OAuthStateRepository(Repository[OAuthState]):
    model = OAuthState
    conflicts: ClassVar = {"oauth_states_tenant_id_session_id_fkey": ConsentNeedsSession}

    async def take(
        self, state_hash: bytes, session_id: UUID, provider: str, at: datetime
    ) -> OAuthState | None:
        """Use a state up: the row is gone with this statement, for everybody."""
        taken = await self.session.execute(
            delete(OAuthState)
            .where(
                OAuthState.state_hash == state_hash,
                OAuthState.session_id == session_id,
                OAuthState.provider == provider,
                OAuthState.expires_at > at,
            )
            .returning(OAuthState)
        )
        return taken.scalar_one_or_none()

    async def forget_old(self, at: datetime) -> None:
        await self.session.execute(delete(OAuthState).where(OAuthState.expires_at <= at))
