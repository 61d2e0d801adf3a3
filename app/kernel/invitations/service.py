"""Inviting people by e-mail: the plan must have room when they are asked, and when they accept."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.pagination import Page, PageRequest
from app.core.ratelimit import Limit
from app.kernel.identity import Identity
from app.kernel.invitations.models import Invitation
from app.kernel.invitations.problems import (
    InvitationEnded,
    InvitationNotValid,
    TooManyInvitations,
)
from app.kernel.invitations.repository import InvitationRepository
from app.kernel.invitations.schemas import InvitationAccept, InvitationCreate
from app.kernel.limits import ensure_room
from app.kernel.mail.rules import language
from app.kernel.mail.service import MailService
from app.kernel.mailed import new_mailed_token
from app.kernel.sessions.service import LoggedIn, open_session
from app.kernel.users.problems import RoleAboveYours
from app.kernel.users.rules import may_manage
from app.kernel.users.service import UserService
from app.kernel.work import UnitOfWork, WorkFactory

LIFE = timedelta(days=7)
PAGE = "convite"
_SENT = Limit("invitation", 5, 3600)
_TRIED = Limit("invitation-accept", 60, 3600)
_WHEN = {"pt": "%d/%m/%Y %H:%M", "en": "%Y-%m-%d %H:%M"}


class InvitationService:
    """Whatever changes who may join takes the staff's lock first, as changes of the staff do."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.invitations = InvitationRepository(work.session)
        self.users = UserService(work)

    async def listed(self, page: PageRequest, *, state: str | None) -> Page[Invitation]:
        return await self.invitations.listed(page, state=state)

    async def invite(self, who: Identity, body: InvitationCreate) -> Invitation:
        """Ask somebody to join, by a letter. Raises RoleAboveYours, EmailTaken, LimitReached,
        InvitationPending.
        """
        if not may_manage(who.role, body.role):
            raise RoleAboveYours()
        await self.users.lock_staff()
        await self.users.ensure_unknown(body.email)
        await self.invitations.drop_expired(body.email)
        await self._ensure_room()
        token = new_mailed_token(self.work.tenant.id)
        made = await self.invitations.add(
            Invitation(
                email=body.email,
                role=body.role,
                invited_by=who.name,
                token_hash=token_hash(token),
                expires_at=now() + LIFE,
            )
        )
        await self.work.session.refresh(made)
        await self._send(made, token)
        self.work.record("invitation.sent", "invitation", made.id, email=body.email, role=body.role)
        return made

    async def resend(self, who: Identity, id: UUID) -> Invitation:
        """A new letter with a new link and a new week; the old link is worth nothing.

        Raises InvitationNotFound, InvitationEnded, RoleAboveYours, LimitReached,
        TooManyInvitations.
        """
        await self.users.lock_staff()
        found = await self._open(who, id)
        decision = await self.work.runtime.limiter.take(_SENT, f"{self.work.tenant.id}:{id}")
        if not decision.allowed:
            raise _too_many(decision.retry_after_s)
        if found.expires_at <= now():
            await self._ensure_room()
        token = new_mailed_token(self.work.tenant.id)
        found.token_hash, found.expires_at = token_hash(token), now() + LIFE
        found.sent += 1
        await self.invitations.flush()
        await self._send(found, token)
        self.work.record("invitation.resent", "invitation", id, sent=found.sent)
        return found

    async def revoke(self, who: Identity, id: UUID) -> None:
        """Take an invitation back. Raises InvitationNotFound, InvitationEnded, RoleAboveYours."""
        await self.users.lock_staff()
        found = await self._open(who, id)
        found.state, found.ended_at = "revoked", now()
        self.work.record("invitation.revoked", "invitation", id, email=found.email)

    async def take(self, body: InvitationAccept, hashed: str) -> LoggedIn:
        """Make the invited person a user. Raises InvitationNotValid, LimitReached, EmailTaken."""
        await self.users.lock_staff()
        found = await self.invitations.good(token_hash(body.token), lock=True)
        if found is None:
            raise InvitationNotValid()
        found.state, found.ended_at = "accepted", now()
        user = await self.users.admit(
            email=found.email, name=body.name, role=found.role, hashed=hashed
        )
        self.work.record("invitation.accepted", "invitation", found.id, user_id=user.id)
        return await open_session(self.work, user)

    async def _open(self, who: Identity, id: UUID) -> Invitation:
        found = await self.invitations.get(id, lock=True)
        if not may_manage(who.role, found.role):
            raise RoleAboveYours()
        if found.state != "pending":
            raise InvitationEnded()
        return found

    async def _ensure_room(self) -> None:
        """No more are asked than there is room for: those who may still accept count, too."""
        taken = await self.users.in_use() + await self.invitations.acceptable()
        await ensure_room(self.work, "users", taken)

    async def _send(self, invitation: Invitation, token: str) -> None:
        tenant = self.work.tenant
        until = invitation.expires_at.astimezone(ZoneInfo(tenant.timezone))
        await MailService(self.work).send(
            "invitation",
            to=invitation.email,
            reference=f"invitation:{invitation.id}:{invitation.sent}",
            facts={
                "organization": tenant.name,
                "inviter": invitation.invited_by,
                "until": until.strftime(_WHEN[language(tenant.locale)]),
            },
            page=PAGE,
            token=token,
        )


async def accept(works: WorkFactory, body: InvitationAccept) -> LoggedIn:
    """Join with a password of one's own and be logged in.

    Two Works, because hashing must not hold a connection. Raises InvitationNotValid, EmailTaken,
    LimitReached, TooManyInvitations.
    """
    async with works() as work:
        decision = await work.runtime.limiter.take(_TRIED, str(work.actor.ip))
        if not decision.allowed:
            raise _too_many(decision.retry_after_s)
        if await InvitationRepository(work.session).good(token_hash(body.token)) is None:
            raise InvitationNotValid()
    hashed = await work.runtime.passwords.hash(body.password)
    async with works() as work:
        return await InvitationService(work).take(body, hashed)


def _too_many(retry_after_s: float) -> TooManyInvitations:
    problem = TooManyInvitations()
    problem.headers = {"Retry-After": str(int(retry_after_s) + 1)}
    return problem
