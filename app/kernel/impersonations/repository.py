"""Queries over impersonations and the sessions that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.impersonations.models import Impersonation
from app.kernel.impersonations.problems import ImpersonationNotFound
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User


@dataclass(frozen=True, slots=True)
class ImpersonationView:
    """An impersonation with its session's life and its member's address."""

    id: UUID
    user_id: UUID
    user_email: str
    by_name: str
    reason: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    is_active: bool


# Across tenants, so as the owner; each is locked and looked at again inside its tenant.
_EXPIRED = """
SELECT i.tenant_id, i.id FROM impersonations i
JOIN user_sessions s ON s.tenant_id = i.tenant_id AND s.id = i.session_id
WHERE s.revoked_at IS NULL AND s.expires_at <= now() ORDER BY s.expires_at LIMIT $1
"""


async def expired(session: AsyncSession, most: int) -> Sequence[tuple[UUID, UUID]]:
    """Tenant and number of those whose time is over and untold; takes a system session."""
    rows = await (await raw(session)).fetch(_EXPIRED, most)
    return [(row["tenant_id"], row["id"]) for row in rows]


class ImpersonationRepository(Repository[Impersonation]):
    model = Impersonation
    missing = ImpersonationNotFound

    async def recent(
        self, request: PageRequest, at: datetime, is_active: bool | None
    ) -> Page[ImpersonationView]:
        """Newest first; ``is_active`` keeps those that are, or are not, alive at ``at``."""
        statement = _JOINED.order_by(Impersonation.id.desc()).limit(request.limit + 1)
        alive = UserSession.revoked_at.is_(None) & (UserSession.expires_at > at)
        if is_active is not None:
            statement = statement.where(alive if is_active else ~alive)
        if request.cursor is not None:
            statement = statement.where(Impersonation.id < request.cursor)
        rows = (await self.session.execute(statement)).all()
        items = [view(made, session, email, at) for made, session, email in rows[: request.limit]]
        return Page(items, items[-1].id if len(rows) > request.limit else None)

    async def open(self, session: UserSession) -> UserSession:
        """Insert the session that an impersonation is."""
        self.session.add(session)
        await self.flush()
        return session

    async def session_of(self, made: Impersonation, *, lock: bool) -> UserSession:
        """The session it is; it cascades, so there is one."""
        statement = select(UserSession).where(UserSession.id == made.session_id)
        found = await self.session.execute(statement.with_for_update() if lock else statement)
        return found.scalar_one()


_JOINED: Select[Impersonation, UserSession, str] = (
    select(Impersonation, UserSession, User.email)
    .join(UserSession, UserSession.id == Impersonation.session_id)
    .join(User, User.id == Impersonation.user_id)
)


def view(made: Impersonation, session: UserSession, email: str, at: datetime) -> ImpersonationView:
    """The three rows as one, as they stand at ``at``."""
    return ImpersonationView(
        id=made.id,
        user_id=made.user_id,
        user_email=email,
        by_name=made.by_name,
        reason=made.reason,
        created_at=made.created_at,
        expires_at=session.expires_at,
        ended_at=session.revoked_at,
        is_active=session.revoked_at is None and session.expires_at > at,
    )
