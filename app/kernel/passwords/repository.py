"""Queries over requests for a new password."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select, update

from app.core.clock import now
from app.core.repository import Repository
from app.kernel.passwords.models import PasswordReset
from app.kernel.users.models import User


class PasswordResetRepository(Repository[PasswordReset]):
    model = PasswordReset

    async def account(self, email: str) -> User | None:
        """The active user of this tenant with this e-mail."""
        found = await self.session.execute(select(User).where(User.email == email, User.is_active))
        return found.scalar_one_or_none()

    async def owner_of(self, digest: bytes) -> UUID | None:
        """Whose a token is while it is good; None for every other."""
        found: UUID | None = await self.session.scalar(
            select(PasswordReset.user_id)
            .join(User, User.id == PasswordReset.user_id)
            .where(
                PasswordReset.token_hash == digest,
                PasswordReset.used_at.is_(None),
                PasswordReset.expires_at > now(),
                User.is_active,
            )
        )
        return found

    async def spend_all(self, user_id: UUID) -> None:
        """A new password makes every request for one worthless."""
        await self.session.execute(
            update(PasswordReset)
            .where(PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
            .values(used_at=now())
        )

    async def forget_old(self, user_id: UUID) -> None:
        await self.session.execute(
            delete(PasswordReset).where(
                PasswordReset.user_id == user_id, PasswordReset.expires_at < now()
            )
        )
