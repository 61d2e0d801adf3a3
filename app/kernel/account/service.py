"""One's own account: profile, picture, presence; and who of the team is there."""

from __future__ import annotations

import io
from uuid import UUID

from app.contracts.platform import AgentStatusChanged
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel import identity as identities
from app.kernel.account.repository import AccountRepository
from app.kernel.account.rules import MemberView
from app.kernel.account.schemas import ProfileUpdate
from app.kernel.files.intake import Incoming
from app.kernel.files.problems import FileBusy, UnsupportedFile
from app.kernel.files.service import FileService, store_file
from app.kernel.identity import Identity
from app.kernel.sessions.service import check_password
from app.kernel.users.models import User
from app.kernel.work import Runtime, Work, WorkFactory

_NAMES = {"image/jpeg": "avatar.jpg", "image/png": "avatar.png", "image/webp": "avatar.webp"}


async def update_profile(works: WorkFactory, who: Identity, body: ProfileUpdate) -> MemberView:
    """Change what is sent; the e-mail only with the password, as one logs in with it.

    Raises EmailTaken, WrongCurrentPassword, TooManyLogins.
    """
    if body.email is not None and body.current_password is not None:
        await check_password(works, who, body.current_password)
    async with works() as work:
        return await AccountService(work).change(who, body)


async def set_avatar(
    runtime: Runtime, works: WorkFactory, who: Identity, content_type: str, content: bytes
) -> MemberView:
    """Show this picture from now on. Raises what ``store_file`` raises."""
    name = _NAMES.get(content_type)
    if name is None:
        raise UnsupportedFile()
    picture = Incoming(io.BytesIO(content), name, content_type)
    kept = await store_file(runtime, works, picture, "public")
    async with works() as work:
        if not await FileService(work).held([kept.id]):
            raise FileBusy()
        return await AccountService(work).show(who, kept.id)


class AccountService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.members = AccountRepository(work.session)

    async def view(self, who: Identity) -> MemberView:
        return await self.members.view(who.user_id)

    async def team(
        self, page: PageRequest, *, status: str | None, department_id: UUID | None
    ) -> Page[MemberView]:
        """Active members with their presence, newest first."""
        return await self.members.team(page, status=status, department_id=department_id)

    async def change(self, who: Identity, body: ProfileUpdate) -> MemberView:
        user = await self.members.get(who.user_id, lock=True)
        before = _facts(user)
        if body.name is not None:
            user.name = body.name
        if body.email is not None:
            user.email = body.email
        if "phone" in body.model_fields_set:
            user.phone = body.phone
        await self.members.flush()
        if _facts(user) != before:
            self.work.ring(identities.TOPIC)
            self.work.record(
                "user.profile_updated", "user", user.id, before=before, after=_facts(user)
            )
        return await self.view(who)

    async def drop_avatar(self, who: Identity) -> None:
        """Show no picture; the file stays, as something else may show it."""
        await self.show(who, None)

    async def set_status(self, who: Identity, status: str) -> MemberView:
        """Tell the team that one is there, away or gone."""
        user = await self.members.get(who.user_id, lock=True)
        if user.status != status:
            user.status, user.status_at = status, now()
            await self.members.flush()
            self.work.publish(AgentStatusChanged(user_id=user.id, status=status))
        return await self.view(who)

    async def show(self, who: Identity, file_id: UUID | None) -> MemberView:
        """Show this file, which is held by this Work, or none."""
        user = await self.members.get(who.user_id, lock=True)
        before = user.avatar_file_id
        if before != file_id:
            user.avatar_file_id = file_id
            await self.members.flush()
            self.work.record("user.avatar_set", "user", user.id, before=before, after=file_id)
        return await self.view(who)


def _facts(user: User) -> dict[str, object]:
    return {"name": user.name, "email": user.email, "phone": user.phone}
