"""Queries over API keys; the look-up of a request's key is in ``kernel.keyring``."""

from __future__ import annotations

from sqlalchemy import func, or_, select

from app.core.clock import now
from app.core.repository import Repository
from app.kernel.apikeys.models import ApiKey
from app.kernel.apikeys.problems import ApiKeyNotFound

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 23))"


class ApiKeyRepository(Repository[ApiKey]):
    model = ApiKey
    missing = ApiKeyNotFound

    async def count_alive(self) -> int:
        """How many keys open anything; locks out whoever else is about to add one."""
        await (await self.raw()).execute(_LOCK)
        statement = (
            select(func.count())
            .select_from(ApiKey)
            .where(
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()),
            )
        )
        return await self.session.scalar(statement) or 0
