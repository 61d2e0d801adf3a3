"""Queries over API keys; the look-up of a request's key is in ``kernel.keyring``."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select

from app.core.clock import now
from app.core.repository import Repository
from app.kernel.apikeys.models import ApiKey
from app.kernel.apikeys.problems import ApiKeyNotFound

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 23))"


class ApiKeyRepository(Repository[ApiKey]):
    model = ApiKey
    missing = ApiKeyNotFound

    def query(self) -> Select[ApiKey]:
        """Those that people made: tokens are their credentials' affair."""
        return super().query().where(ApiKey.issued_for.is_(None))

    async def drop_expired(self, issued_for: UUID) -> None:
        """Delete a credential's tokens that open nothing any more."""
        await self.session.execute(
            delete(ApiKey).where(ApiKey.issued_for == issued_for, ApiKey.expires_at < now())
        )

    async def drop_issued(self, issued_for: UUID) -> None:
        """Delete all tokens of a credential."""
        await self.session.execute(delete(ApiKey).where(ApiKey.issued_for == issued_for))

    async def count_alive(self) -> int:
        """How many keys open anything; locks out whoever else is about to add one."""
        await (await self.raw()).execute(_LOCK)
        statement = (
            select(func.count())
            .select_from(ApiKey)
            .where(
                ApiKey.issued_for.is_(None),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()),
            )
        )
        return await self.session.scalar(statement) or 0
