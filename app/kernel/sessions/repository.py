"""Queries over sessions and over the users who log in."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select, update

from app.core.clock import now
from app.core.repository import Repository
from app.kernel.impersonations.models import Impersonation
from app.kernel.sessions.models import RefreshToken, UserSession
from app.kernel.sessions.problems import SessionNotFound
from app.kernel.tenants.models import Tenant
from app.kernel.users.models import User

MOST_TENANTS = 5
"""Of so many at most one person hears when they name none."""


class SessionRepository(Repository[UserSession]):
    model = UserSession
    missing = SessionNotFound

    async def user_by_email(self, email: str, *, lock: bool = False) -> User | None:
        statement = select(User).where(User.email == email)
        found = await self.session.execute(statement.with_for_update() if lock else statement)
        return found.scalar_one_or_none()

    async def user_by_id(self, user_id: UUID, *, lock: bool = False) -> User | None:
        statement = select(User).where(User.id == user_id)
        found = await self.session.execute(statement.with_for_update() if lock else statement)
        return found.scalar_one_or_none()

    async def tenants_with(self, email: str) -> Sequence[UUID]:
        """Active tenants with an active account of this e-mail, the last used first.

        Crosses tenants: takes a system session (a login that names none).
        """
        found = await self.session.execute(
            select(User.tenant_id)
            .join(Tenant, Tenant.id == User.tenant_id)
            .where(User.email == email, User.is_active, Tenant.status == "active")
            .order_by(User.last_login_at.desc().nulls_last(), User.id.desc())
            .limit(MOST_TENANTS)
        )
        return found.scalars().all()

    async def alive(self, user_id: UUID, *, opened_by_user: bool = False) -> Sequence[UserSession]:
        """The user's sessions that are not over, newest first; those in which somebody works in
        the user's name are left out with ``opened_by_user``.
        """
        statement = self.query().where(
            UserSession.user_id == user_id,
            UserSession.revoked_at.is_(None),
            UserSession.expires_at > now(),
        )
        if opened_by_user:
            marked = select(Impersonation.id).where(Impersonation.session_id == UserSession.id)
            statement = statement.where(~marked.exists())
        return await self.all(statement.order_by(UserSession.id.desc()))

    async def revoke(self, ids: Sequence[UUID], reason: str) -> None:
        await self.session.execute(
            update(UserSession)
            .where(UserSession.id.in_(ids), UserSession.revoked_at.is_(None))
            .values(revoked_at=now(), revoked_reason=reason)
        )

    async def refresh_token(self, digest: bytes) -> tuple[RefreshToken, UserSession, User] | None:
        """The token with its session locked: whoever else rotates in this session waits."""
        session_id = await self.session.scalar(
            select(RefreshToken.session_id).where(RefreshToken.token_hash == digest)
        )
        if session_id is None:
            return None
        session = await self.find(session_id, lock=True)
        if session is None:
            return None
        # Read after the lock was won: a statement sees what a twin committed before it began.
        found = await self.session.execute(
            select(RefreshToken, User)
            .join(UserSession, UserSession.id == RefreshToken.session_id)
            .join(User, User.id == UserSession.user_id)
            .where(RefreshToken.token_hash == digest)
        )
        row = found.one_or_none()
        return (row[0], session, row[1]) if row is not None else None

    async def forget_spent(self, session_id: UUID) -> None:
        """Drop what a chain no longer needs: expired links, and pairs kept for the grace."""
        mine = RefreshToken.session_id == session_id
        await self.session.execute(
            delete(RefreshToken).where(mine, RefreshToken.expires_at < now())
        )
        await self.session.execute(
            update(RefreshToken)
            .where(mine, RefreshToken.successor.is_not(None))
            .values(successor=None)
        )
