"""Queries over groups and their members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import delete, select

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.groups.models import Group, GroupMember
from app.kernel.groups.problems import GroupNameTaken, GroupNotFound
from app.kernel.users.models import User


class GroupRepository(Repository[Group]):
    model = Group
    missing = GroupNotFound
    conflicts: ClassVar = {"groups_tenant_id_name_key": GroupNameTaken}

    async def members(self, group_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """User ids by group, in the order in which they joined."""
        rows = await self.session.execute(
            select(GroupMember.group_id, GroupMember.user_id)
            .where(GroupMember.group_id.in_(group_ids))
            .order_by(GroupMember.id)
        )
        found: dict[UUID, list[UUID]] = defaultdict(list)
        for group_id, user_id in rows:
            found[group_id].append(user_id)
        return found

    async def known_users(self, user_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these are users of this tenant; their rows stay until the commit."""
        rows = await self.session.execute(
            select(User.id).where(User.id.in_(user_ids)).with_for_update(key_share=True, read=True)
        )
        return set(rows.scalars())

    async def replace_members(
        self, group_id: UUID, leaving: Sequence[UUID], joining: Sequence[UUID]
    ) -> None:
        if leaving:
            await self.session.execute(
                delete(GroupMember).where(
                    GroupMember.group_id == group_id, GroupMember.user_id.in_(leaving)
                )
            )
        self.session.add_all(
            GroupMember(id=new_id(), group_id=group_id, user_id=u) for u in joining
        )
        await self.flush()
