"""Working in a member's name: for a reason, for minutes, seen by the tenant, ended by either side.

An impersonation is a session of that member which no password opened: without a refresh token,
outside the cap of the member's own sessions, and marked, so that every request in it says whose
it is (``kernel.identity``), every audit line carries both names (``kernel.work``), and nothing in
it hands out access (``kernel.access``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from app.contracts.platform import ImpersonationEnded, ImpersonationStarted
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel import identity as identities
from app.kernel.identity import Identity
from app.kernel.impersonations.models import Impersonation
from app.kernel.impersonations.problems import UserInactive
from app.kernel.impersonations.repository import (
    ImpersonationRepository,
    ImpersonationView,
    expired,
    view,
)
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User
from app.kernel.users.service import UserService
from app.kernel.work import Runtime, UnitOfWork, system_work


@dataclass(frozen=True, slots=True)
class Started:
    """An impersonation and the one token that works in it."""

    impersonation: ImpersonationView
    access_token: str = field(repr=False)
    expires_in: int
    """Seconds."""


async def untold(runtime: Runtime, most: int) -> Sequence[tuple[UUID, UUID]]:
    """Tenant and number of impersonations whose time is over and of which nobody has told."""
    async with system_work(runtime) as session:
        return await expired(session, most)


class ImpersonationService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.impersonations = ImpersonationRepository(work.session)

    async def start(self, by: Identity, user_id: UUID, reason: str, minutes: int) -> Started:
        """Open a session in this member's name. The Work is the member's tenant's.

        Raises UserNotFound, UserInactive.
        """
        # The row is locked: who is being deactivated is either refused here or loses this session.
        user = await UserService(self.work).manageable(by, user_id)
        if not user.is_active:
            raise UserInactive()
        session = await self.impersonations.open(self._session(user, by, minutes))
        made = await self._mark(session, by, reason)
        self.work.publish(
            ImpersonationStarted(
                impersonation_id=made.id,
                user_id=user.id,
                user_email=user.email,
                by=by.email,
                reason=reason,
                expires_at=session.expires_at,
            )
        )
        token, life = self.work.runtime.tokens.issue(
            user.id, self.work.tenant.id, user.role, session.id, life_s=minutes * 60
        )
        return Started(view(made, session, user.email, made.created_at), token, life)

    def _session(self, user: User, by: Identity, minutes: int) -> UserSession:
        at = now()
        return UserSession(
            user_id=user.id,
            created_at=at,
            expires_at=at + timedelta(minutes=minutes),
            ip=self.work.actor.ip,
            user_agent=(self.work.actor.user_agent or "")[:300] or None,
            device=f"Plataforma: {by.email}"[:80],
        )

    async def _mark(self, session: UserSession, by: Identity, reason: str) -> Impersonation:
        made = Impersonation(
            session_id=session.id,
            created_at=session.created_at,
            user_id=session.user_id,
            by_tenant_id=by.tenant_id,
            by_user_id=by.user_id,
            by_session_id=by.session_id,
            by_name=by.email,
            reason=reason,
        )
        return await self.impersonations.add(made)

    async def recent(self, page: PageRequest, is_active: bool | None) -> Page[ImpersonationView]:
        return await self.impersonations.recent(page, now(), is_active)

    async def expire(self, impersonation_id: UUID) -> None:
        """Tell that its time is over, unless it was ended or told before."""
        made = await self.impersonations.get(impersonation_id)
        session = await self.impersonations.session_of(made, lock=True)
        if session.revoked_at is not None or session.expires_at > now():
            return
        session.revoked_at, session.revoked_reason = session.expires_at, "impersonation-expired"
        self.work.publish(
            ImpersonationEnded(
                impersonation_id=made.id, user_id=made.user_id, by=made.by_name, reason="expired"
            )
        )

    async def end(self, impersonation_id: UUID, reason: str) -> None:
        """End it in every process within a second; of many at once one does it.

        Raises ImpersonationNotFound.
        """
        made = await self.impersonations.get(impersonation_id)
        session = await self.impersonations.session_of(made, lock=True)
        if session.revoked_at is not None or session.expires_at <= now():
            return
        session.revoked_at, session.revoked_reason = now(), f"impersonation-ended-by-{reason}"
        self.work.publish(
            ImpersonationEnded(
                impersonation_id=made.id, user_id=made.user_id, by=made.by_name, reason=reason
            )
        )
        self.work.ring(identities.TOPIC)
