"""Queries over second factors."""

from __future__ import annotations

from uuid import UUID

from app.core.repository import Repository
from app.kernel.totp.models import TotpFactor
from app.kernel.totp.problems import TotpNotOn

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 24))"


class TotpRepository(Repository[TotpFactor]):
    model = TotpFactor
    missing = TotpNotOn

    async def of(self, user_id: UUID, *, lock: bool = False) -> TotpFactor | None:
        """The user's factor, confirmed or offered; ``lock`` also against one about to be made."""
        statement = self.query().where(TotpFactor.user_id == user_id)
        if lock:
            await (await self.raw()).execute(_LOCK, str(user_id))
            statement = statement.with_for_update(of=TotpFactor)
        return await self.one_or_none(statement)
