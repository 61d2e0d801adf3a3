"""Queries over invitations."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import delete, func, select

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.invitations.models import Invitation
from app.kernel.invitations.problems import InvitationNotFound, InvitationPending


class InvitationRepository(Repository[Invitation]):
    model = Invitation
    missing = InvitationNotFound
    conflicts: ClassVar = {"invitations_pending_idx": InvitationPending}

    async def listed(self, page: PageRequest, *, state: str | None) -> Page[Invitation]:
        statement = self.query()
        if state is not None:
            statement = statement.where(Invitation.state == state)
        return await self.page(statement, page)

    async def acceptable(self) -> int:
        """How many may still be accepted."""
        return (
            await self.session.scalar(
                select(func.count())
                .select_from(Invitation)
                .where(Invitation.state == "pending", Invitation.expires_at > now())
            )
            or 0
        )

    async def drop_expired(self, email: str) -> None:
        """Make way for a new invitation of somebody who let one lapse."""
        await self.session.execute(
            delete(Invitation).where(
                Invitation.email == email,
                Invitation.state == "pending",
                Invitation.expires_at <= now(),
            )
        )

    async def good(self, digest: bytes, *, lock: bool = False) -> Invitation | None:
        """The invitation whose newest token this is, while it may be accepted."""
        statement = self.query().where(
            Invitation.token_hash == digest,
            Invitation.state == "pending",
            Invitation.expires_at > now(),
        )
        return await self.one_or_none(statement.with_for_update() if lock else statement)
