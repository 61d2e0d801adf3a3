"""Queries over the users of a tenant."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, select, update

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User
from app.kernel.users.problems import EmailTaken, UserNotFound

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 21))"


class UserRepository(Repository[User]):
    model = User
    missing = UserNotFound
    conflicts: ClassVar = {"users_tenant_id_email_key": EmailTaken}

    async def listed(
        self, page: PageRequest, *, role: str | None, is_active: bool | None
    ) -> Page[User]:
        statement = self.query()
        if role is not None:
            statement = statement.where(User.role == role)
        if is_active is not None:
            statement = statement.where(User.is_active.is_(is_active))
        return await self.page(statement, page)

    async def lock_staff(self) -> None:
        """One change of the staff at a time: limits and the last owner are about absent rows."""
        await (await self.raw()).execute(_LOCK)

    async def has(self, email: str) -> bool:
        found = await self.session.scalar(select(User.id).where(User.email == email))
        return found is not None

    async def nobody(self) -> bool:
        """Whether the tenant has no user at all, not even one locked out."""
        return await self.session.scalar(select(User.id).limit(1)) is None

    async def active(self) -> int:
        """How many users count against the plan."""
        found = select(func.count()).select_from(User).where(User.is_active)
        return await self.session.scalar(found) or 0

    async def other_active_owners(self, user_id: UUID) -> int:
        statement = (
            select(func.count())
            .select_from(User)
            .where(User.role == "owner", User.is_active, User.id != user_id)
        )
        return await self.session.scalar(statement) or 0

    async def end_sessions(self, user_id: UUID, reason: str) -> None:
        """Revoke every live session of the user; call it with the user's row locked."""
        await self.session.execute(
            update(UserSession)
            .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
            .values(revoked_at=now(), revoked_reason=reason)
        )
