"""Groups: what they grant, who is in them; it counts from the next request on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel import identity as identities
from app.kernel.access import grants_of
from app.kernel.groups.models import Group
from app.kernel.groups.problems import GrantBeyondYours
from app.kernel.groups.repository import GroupRepository
from app.kernel.groups.schemas import GroupCreate, GroupUpdate
from app.kernel.identity import Identity
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its members."""

    id: UUID
    name: str
    grants: list[str]
    user_ids: list[UUID]
    created_at: datetime


class GroupService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.groups = GroupRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[GroupView]:
        found = await self.groups.page(self.groups.query(), page)
        return Page(await self._views(found.items), found.next_cursor)

    async def get(self, group_id: UUID) -> GroupView:
        """One group. Raises GroupNotFound."""
        return await self._view(await self.groups.get(group_id))

    async def create(self, who: Identity, body: GroupCreate) -> GroupView:
        """Add a group. Raises GroupNameTaken, GrantBeyondYours."""
        grants = sorted(set(body.grants))
        _within_own(who, grants)
        group = await self.groups.add(Group(name=body.name, grants=grants))
        await self.work.session.refresh(group)
        self.work.record("group.created", "group", group.id, after=_facts(group))
        return await self._view(group)

    async def update(self, who: Identity, group_id: UUID, body: GroupUpdate) -> GroupView:
        """Rename a group or change what it grants.

        Raises GroupNotFound, GroupNameTaken, GrantBeyondYours.
        """
        group = await self.groups.get(group_id, lock=True)
        before = _facts(group)
        if body.name is not None:
            group.name = body.name
        if body.grants is not None:
            grants = sorted(set(body.grants))
            _within_own(who, set(grants) - set(group.grants))
            group.grants = grants
            self.work.ring(identities.TOPIC)
        await self.groups.flush()
        self.work.record("group.updated", "group", group.id, before=before, after=_facts(group))
        return await self._view(group)

    async def delete(self, group_id: UUID) -> None:
        """Remove a group; its members lose what only it granted. Raises GroupNotFound."""
        group = await self.groups.get(group_id, lock=True)
        self.work.record("group.deleted", "group", group.id, before=_facts(group))
        await self.groups.delete(group)
        self.work.ring(identities.TOPIC)

    async def set_members(
        self, who: Identity, group_id: UUID, user_ids: Sequence[UUID]
    ) -> GroupView:
        """Make these users, and nobody else, the members.

        Raises GroupNotFound, GrantBeyondYours, Invalid (an id that is no user here).
        """
        group = await self.groups.get(group_id, lock=True)
        before = (await self.groups.members([group_id]))[group_id]
        wanted = list(dict.fromkeys(user_ids))
        joining = [u for u in wanted if u not in set(before)]
        leaving = [u for u in before if u not in set(wanted)]
        if joining:
            _within_own(who, group.grants)
            await self._must_exist(user_ids, joining)
        await self.groups.replace_members(group_id, leaving, joining)
        self.work.record("group.members_set", "group", group_id, before=before, after=wanted)
        self.work.ring(identities.TOPIC)
        return await self._view(group)

    async def _must_exist(self, given: Sequence[UUID], joining: Sequence[UUID]) -> None:
        unknown = set(joining) - await self.groups.known_users(joining)
        if unknown:
            raise Invalid(
                errors=[
                    {"pointer": f"/body/user_ids/{i}", "detail": "There is no such user."}
                    for i, user_id in enumerate(given)
                    if user_id in unknown
                ]
            )

    async def _view(self, group: Group) -> GroupView:
        return (await self._views([group]))[0]

    async def _views(self, groups: Sequence[Group]) -> list[GroupView]:
        members = await self.groups.members([g.id for g in groups])
        return [
            GroupView(g.id, g.name, list(g.grants), members.get(g.id, []), g.created_at)
            for g in groups
        ]


def _within_own(who: Identity, grants: Iterable[str]) -> None:
    # Otherwise whoever manages groups could give themselves the whole house.
    beyond = sorted(set(grants) - grants_of(who))
    if beyond:
        raise GrantBeyondYours(grants=beyond)


def _facts(group: Group) -> dict[str, object]:
    return {"name": group.name, "grants": list(group.grants)}
