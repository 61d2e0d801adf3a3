"""Queries over sessions and over the users who log in."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update

from app.core.clock import now
from app.core.repository import Repository
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.problems import SessionNotFound
from app.kernel.users.models import User


class SessionRepository(Repository[UserSession]):
    model = UserSession
    missing = SessionNotFound

    async def user_by_email(self, email: str, *, lock: bool = False) -> User | None:
        statement = select(User).where(User.email == email)
        found = await self.session.execute(statement.with_for_update() if lock else statement)
        return found.scalar_one_or_none()

    async def alive(self, user_id: UUID) -> Sequence[UserSession]:
        """The user's sessions that are not over, newest first."""
        return await self.all(
            self.query()
            .where(
                UserSession.user_id == user_id,
                UserSession.revoked_at.is_(None),
                UserSession.expires_at > now(),
            )
            .order_by(UserSession.id.desc())
        )

    async def revoke(self, ids: Sequence[UUID], reason: str) -> None:
        await self.session.execute(
            update(UserSession)
            .where(UserSession.id.in_(ids), UserSession.revoked_at.is_(None))
            .values(revoked_at=now(), revoked_reason=reason)
        )
