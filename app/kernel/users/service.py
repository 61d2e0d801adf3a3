"""Managing the people of a tenant: hire, change, lock out; never without an owner left."""

from __future__ import annotations

import secrets
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.kernel import identity as identities
from app.kernel.identity import Identity
from app.kernel.limits import ensure_room
from app.kernel.users.models import User
from app.kernel.users.problems import EmailTaken, LastOwner, RoleAboveYours
from app.kernel.users.repository import UserRepository
from app.kernel.users.rules import may_manage
from app.kernel.users.schemas import UserCreate, UserUpdate
from app.kernel.work import Work


class UserService:
    """Changes of the staff take one advisory lock of the tenant, then the user's row.

    The row's lock is the one that logging in takes, so a session opened meanwhile is either
    seen and revoked here, or refused there.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.users = UserRepository(work.session)

    async def listed(
        self, page: PageRequest, *, role: str | None = None, is_active: bool | None = None
    ) -> Page[User]:
        return await self.users.listed(page, role=role, is_active=is_active)

    async def in_use(self) -> int:
        """Answer the ``InUse`` contract: how many users count against the plan."""
        return await self.users.active()

    async def get(self, user_id: UUID) -> User:
        """One user. Raises UserNotFound."""
        return await self.users.get(user_id)

    async def manageable(self, who: Identity, user_id: UUID) -> User:
        """A user one may manage, locked for it. Raises UserNotFound, RoleAboveYours."""
        user = await self.users.get(user_id, lock=True)
        self._may(who, user.role)
        return user

    async def create(self, who: Identity, body: UserCreate) -> User:
        """Add a user. Raises RoleAboveYours, LimitReached, EmailTaken."""
        self._may(who, body.role)
        hashed = await self.work.runtime.passwords.hash(body.password)
        await self.lock_staff()
        return await self.admit(email=body.email, name=body.name, role=body.role, hashed=hashed)

    async def lock_staff(self) -> None:
        """Let one Work at a time change who works here."""
        await self.users.lock_staff()

    async def admit(self, *, email: str, name: str, role: str, hashed: str) -> User:
        """Add a user under the staff's lock. Raises LimitReached, EmailTaken."""
        await ensure_room(self.work, "users", await self.users.active())
        return await self._add(email=email, name=name, role=role, hashed=hashed)

    async def ensure_first_owner(self, name: str, email: str) -> User | None:
        """Make the owner of a tenant that has nobody yet; None when somebody is there.

        The password is one that nobody knows: the owner sets one by the mail of "forgot password".
        """
        hashed = await self.work.runtime.passwords.hash(secrets.token_urlsafe(32))
        await self.users.lock_staff()
        if not await self.users.nobody():
            return None
        return await self._add(email=email.lower(), name=name, role="owner", hashed=hashed)

    async def nobody_yet(self) -> bool:
        """Whether the tenant waits for its first user."""
        return await self.users.nobody()

    async def ensure_unknown(self, email: str) -> None:
        """Raises EmailTaken when a user of this tenant has it, active or not."""
        if await self.users.has(email):
            raise EmailTaken()

    async def update(self, who: Identity, user_id: UUID, body: UserUpdate) -> User:
        """Change name, role or activity. Raises UserNotFound, RoleAboveYours, LastOwner,
        LimitReached (bringing somebody back takes a place again).
        """
        wanted = {k: v for k in body.model_fields_set if (v := getattr(body, k)) is not None}
        return await self._change(who, user_id, wanted)

    async def deactivate(self, who: Identity, user_id: UUID) -> None:
        """Lock a user out, keeping what they did. Raises as ``update`` does."""
        await self._change(who, user_id, {"is_active": False})

    async def set_password(self, who: Identity, user_id: UUID, password: str) -> None:
        """Give a user a new password and end all their sessions (ASVS 7.4.3).

        Raises UserNotFound, RoleAboveYours.
        """
        hashed = await self.work.runtime.passwords.hash(password)
        user = await self.manageable(who, user_id)
        await self.replace_password(user, hashed, "password-changed")

    async def locked(self, user_id: UUID) -> User:
        """One user, whom nobody else changes or logs in before this Work ends.

        Raises UserNotFound.
        """
        return await self.users.get(user_id, lock=True)

    async def replace_password(self, user: User, hashed: str, reason: str) -> None:
        """Give a locked user another password hash and end all their sessions."""
        user.password_hash = hashed
        await self._shut_out(user, reason)
        self.work.record("user.password_set", "user", user.id, reason=reason)

    async def _add(self, *, email: str, name: str, role: str, hashed: str) -> User:
        user = await self.users.add(User(email=email, name=name, role=role, password_hash=hashed))
        await self.work.session.refresh(user)
        self.work.record("user.created", "user", user.id, after=_facts(user))
        return user

    async def _change(self, who: Identity, user_id: UUID, wanted: dict[str, object]) -> User:
        await self.users.lock_staff()
        user = await self.users.get(user_id, lock=True)
        before = _facts(user)
        self._may(who, user.role, str(wanted.get("role", user.role)))
        wanted = {k: v for k, v in wanted.items() if getattr(user, k) != v}
        if not wanted:
            return user
        if wanted.get("is_active") is True:
            await ensure_room(self.work, "users", await self.users.active())
        for field, value in wanted.items():
            setattr(user, field, value)
        await self._keep_an_owner(user, before)
        await self.users.flush()
        if wanted.get("is_active") is False:
            await self._shut_out(user, "deactivated")
        self.work.ring(identities.TOPIC)
        self.work.record("user.updated", "user", user.id, before=before, after=_facts(user))
        return user

    async def _keep_an_owner(self, user: User, before: dict[str, object]) -> None:
        was = before["role"] == "owner" and before["is_active"]
        stays = user.role == "owner" and user.is_active
        if was and not stays and not await self.users.other_active_owners(user.id):
            raise LastOwner()

    async def _shut_out(self, user: User, reason: str) -> None:
        await self.users.flush()
        await self.users.end_sessions(user.id, reason)
        self.work.ring(identities.TOPIC)

    @staticmethod
    def _may(who: Identity, *roles: str) -> None:
        if not may_manage(who.role, *roles):
            raise RoleAboveYours()


def _facts(user: User) -> dict[str, object]:
    return {"email": user.email, "name": user.name, "role": user.role, "is_active": user.is_active}
