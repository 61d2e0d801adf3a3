"""Members as they and their colleagues see them: picture, presence, departments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Select, Uuid, case, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.account.rules import MemberView
from app.kernel.departments.models import DepartmentMember
from app.kernel.files.models import StoredFile
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User
from app.kernel.users.problems import EmailTaken, UserNotFound

_SILENT = timedelta(minutes=5)
"""A session notes its use once a minute, an open event stream keeps doing so."""


class AccountRepository(Repository[User]):
    model = User
    missing = UserNotFound
    conflicts: ClassVar = {"users_tenant_id_email_key": EmailTaken}

    async def view(self, user_id: UUID) -> MemberView:
        """One member. Raises UserNotFound."""
        row = (await self.session.execute(_members().where(User.id == user_id))).one_or_none()
        if row is None:
            raise UserNotFound()
        return MemberView(*row)

    async def team(
        self, page: PageRequest, *, status: str | None, department_id: UUID | None
    ) -> Page[MemberView]:
        """Active members, newest first."""
        statement = _members().where(User.is_active)
        if status is not None:
            statement = statement.where(_status() == status)
        if department_id is not None:
            inside = select(DepartmentMember.id).where(
                DepartmentMember.user_id == User.id,
                DepartmentMember.department_id == department_id,
            )
            statement = statement.where(inside.exists())
        if page.cursor is not None:
            statement = statement.where(User.id < page.cursor)
        found = await self.session.execute(statement.order_by(User.id.desc()).limit(page.limit + 1))
        rows = [MemberView(*row) for row in found]
        items = rows[: page.limit]
        return Page(items, items[-1].id if len(rows) > page.limit else None)


def _seen() -> Any:
    return (
        select(func.max(UserSession.last_seen_at))
        .where(
            UserSession.user_id == User.id,
            UserSession.revoked_at.is_(None),
            UserSession.expires_at > now(),
        )
        .scalar_subquery()
    )


def _status() -> Any:
    return case((_seen() > now() - _SILENT, User.status), else_=literal("offline"))


def _members() -> Select[Any]:
    departments = (
        select(
            func.coalesce(
                func.array_agg(
                    aggregate_order_by(DepartmentMember.department_id, DepartmentMember.id)
                ),
                literal([], ARRAY(Uuid())),
            )
        )
        .where(DepartmentMember.user_id == User.id)
        .scalar_subquery()
    )
    return select(
        User.id,
        User.email,
        User.name,
        User.role,
        User.phone,
        _status(),
        User.status_at,
        User.last_login_at,
        User.created_at,
        _seen(),
        StoredFile.key,
        departments,
    ).outerjoin(StoredFile, StoredFile.id == User.avatar_file_id)
